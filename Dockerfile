# Serves one model: docker run -p 127.0.0.1:8000:8000 -v ./head.onnx:/model.onnx:ro curate
FROM python:3.11-slim
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY curate ./curate
RUN pip install --no-cache-dir --constraint constraints.txt . \
    && useradd --system --no-create-home curate
USER curate
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=3)"]
ENTRYPOINT ["curate"]
CMD ["serve", "--model", "/model.onnx", "--host", "0.0.0.0"]

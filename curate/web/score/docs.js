// Lists what /openapi.json describes, without any library.

const paths = document.getElementById("paths");

function element(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}

function example(method, path, operation) {
  const where = `${location.origin}${path}`;
  const types = Object.keys(operation.requestBody?.content ?? {});
  const body = types.includes("multipart/form-data") ? " -F file=@photo.jpg" : "";
  return `curl${method === "get" ? "" : body ? "" : ` -X ${method.toUpperCase()}`}${body} ${where}`;
}

function describe(path, method, operation) {
  const section = document.createElement("section");
  element("h2", `${method.toUpperCase()} ${path}`, section);
  element("p", operation.description ?? operation.summary ?? "", section);
  element("pre", example(method, path, operation), section);
  const list = element("ul", "", section);
  for (const [status, answer] of Object.entries(operation.responses ?? {})) {
    element("li", `${status}: ${answer.description}`, list);
  }
  return section;
}

const said = await (await fetch("/openapi.json")).json();
paths.replaceChildren();
for (const [path, operations] of Object.entries(said.paths)) {
  for (const [method, operation] of Object.entries(operations)) {
    paths.append(describe(path, method, operation));
  }
}

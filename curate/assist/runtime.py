"""ONNX Runtime, as this program uses it: one session that many threads share.

Each call runs on one core and nothing spins: the callers are as many as there are cores, so that
one decodes while another computes. A graphics card is used where the installed runtime has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.assist.onnxfile import ModelFile
from curate.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CARDS = (
    "CUDAExecutionProvider",
    "MIGraphXExecutionProvider",
    "ROCMExecutionProvider",
    "DmlExecutionProvider",
    "CoreMLExecutionProvider",
)
"""Graphics cards that a runtime may be built for, the first one there is used."""
CPU = "CPUExecutionProvider"
INPUT_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
"""Elements of pictures that models take."""


def open_session(model: ModelFile, provider: str = CPU) -> InferenceSession:
    """Load a model that was looked through; nothing but its own bytes is read.

    Args:
        model: its file.
        provider: where it runs; what that cannot do runs on the CPU.

    Raises:
        ModelError: the runtime does not take it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if model.weights:
        names = list(model.weights)
        held = [model.weights[name] for name in names]
        options.add_external_initializers_from_files_in_memory(
            names, held, [len(each) for each in held]
        )
    providers = [provider] if provider == CPU else [provider, CPU]
    try:
        return onnxruntime.InferenceSession(model.data, options, providers=providers)
    except MemoryError:
        raise
    except Exception as error:  # its errors share no other class
        line = " ".join(str(error).split())
        raise ModelError(f"the ONNX runtime refuses it: {line[:240]}") from error


def best_provider() -> str:
    """Return the graphics card of the installed runtime, else the CPU."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    return next((each for each in CARDS if each in there), CPU)


def noise(shape: tuple[int, ...], kind: str) -> NDArray[Any]:
    """Return the same noise each time, as a model takes it.

    Args:
        shape: of the input.
        kind: element type, a key of `INPUT_TYPES`.
    """
    chance = np.random.default_rng(0)
    if kind == "tensor(uint8)":
        return chance.integers(0, 256, size=shape, dtype=np.uint8)
    return chance.normal(size=shape).astype(INPUT_TYPES[kind])

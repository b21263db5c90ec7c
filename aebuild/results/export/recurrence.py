"""Recurrent layers in programs: one operation each, for series of any length."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._decomp import decomposition_table

ATEN = torch.ops.aten
LAYERS = (ATEN.lstm.input, ATEN.gru.input, ATEN.rnn_tanh.input, ATEN.rnn_relu.input)
KEYS = (DispatchKey.Autograd, DispatchKey.CompositeImplicitAutograd)


def _shapes(x: Tensor, start: Tensor | list[Tensor], weights: list[Tensor], biased: bool, layers: int, dropout: float, train: bool,
            bidirectional: bool, batch_first: bool) -> tuple[Tensor, ...]:
    """Empty tensors like the results of one layer, batch first: all states [N, T, H] and the last ones."""
    states = [start] if isinstance(start, Tensor) else start
    return (x.new_empty(x.shape[0], x.shape[1], states[0].shape[0] * states[0].shape[2]), *(torch.empty_like(state) for state in states))


@contextmanager
def whole_layers() -> Iterator[None]:
    """While entered, torch records recurrent layers without looking inside.

    To know the shapes that come of one, torch walks through its positions one by one, and so takes their number for a constant, although
    the operation that it writes down has none. Here it is told the shapes instead. torch offers no public way to do so.
    """
    kernels = {layer: dict(layer.py_kernels) for layer in LAYERS}
    walks = {layer: decomposition_table[layer] for layer in LAYERS}
    for layer in LAYERS:
        decomposition_table[layer] = _shapes
        layer.py_kernels.update(dict.fromkeys(KEYS, _shapes))
        layer._dispatch_cache.clear()
    try:
        yield
    finally:
        for layer in LAYERS:
            decomposition_table[layer] = walks[layer]
            layer.py_kernels.clear()
            layer.py_kernels.update(kernels[layer])
            layer._dispatch_cache.clear()


def onnx_layers() -> dict[Any, Callable[..., Any]]:
    """How ONNX writes the layers that its exporter only knows place by place."""
    return {ATEN.rnn_tanh.input: _onnx_rnn("Tanh"), ATEN.rnn_relu.input: _onnx_rnn("Relu")}


def _onnx_rnn(activation: str) -> Callable[..., Any]:
    op = importlib.import_module("onnxscript").opset18

    def write(x: Any, start: Any, weights: Any, biased: bool, layers: int, dropout: float, train: bool, bidirectional: bool,
              batch_first: bool) -> Any:
        """One layer, batch first, with biases: weights are W_ih, W_hh, b_ih, b_hh of each direction."""
        ways = 2 if bidirectional else 1

        def all_ways(number: int) -> Any:
            return op.Concat(*(op.Unsqueeze(weights[4 * way + number], [0]) for way in range(ways)), axis=0)

        biases = op.Concat(all_ways(2), all_ways(3), axis=1)
        y, last = op.RNN(op.Transpose(x, perm=[1, 0, 2]), all_ways(0), all_ways(1), biases, None, start,
                         activations=[activation] * ways, direction="bidirectional" if bidirectional else "forward",
                         hidden_size=weights[1].shape[1])
        return op.Reshape(op.Transpose(y, perm=[2, 0, 1, 3]), [0, 0, -1]), last            # (T, ways, N, H) to (N, T, ways·H)

    return write

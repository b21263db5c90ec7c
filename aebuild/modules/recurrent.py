"""Recurrent steps: over a given sequence, out of a code alone, or feeding their own output back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from aebuild.modules.lengths import last_place, lengths_in, mean_place, turned
from aebuild.modules.randomness import Random
from aebuild.modules.recording import recording
from aebuild.modules.shapes import Residual
from aebuild.modules.stage import Contextual, Stage

State = tuple[Tensor, ...]            # (h,), of an LSTM (h, c)

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


def states_of(mode: str) -> int:
    """How many vectors an update carries on: an LSTM has a cell beside its hidden state."""
    return 2 if mode == "LSTM" else 1


def advance(mode: str, x: Tensor, state: State, weights: Sequence[Tensor]) -> State:
    """One update: x [N, D], state of [N, H] each; weights are torch's weight_ih, weight_hh, bias_ih, bias_hh."""
    if mode == "LSTM":
        return tuple(torch.lstm_cell(x, list(state), *weights))
    cell = {"GRU": torch.gru_cell, "RNN_TANH": torch.rnn_tanh_cell, "RNN_RELU": torch.rnn_relu_cell}[mode]
    return (cell(x, state[0], *weights),)


def split_state(flat: Tensor, mode: str, directions: int) -> State:
    """[N, states·directions·H] to as many [directions, N, H] as the mode carries on."""
    width = flat.shape[1] // states_of(mode) // directions
    states = flat.view(flat.shape[0], states_of(mode), directions, width).permute(1, 2, 0, 3)     # (states, directions, N, H)
    return states.contiguous().unbind()


def layer(mode: str, inputs: int, width: int, bidirectional: bool) -> nn.RNNBase:
    """The layer of torch for an update of this kind, batch first."""
    if mode == "LSTM":
        return nn.LSTM(inputs, width, batch_first=True, bidirectional=bidirectional)
    if mode == "GRU":
        return nn.GRU(inputs, width, batch_first=True, bidirectional=bidirectional)
    return nn.RNN(inputs, width, nonlinearity=mode.removeprefix("RNN_").lower(), batch_first=True, bidirectional=bidirectional)


def run(rnn: nn.RNNBase, x: Tensor, state: State | None = None) -> tuple[Tensor, Tensor]:
    """Runs x [N, T, D] from the state (zeros without one) to all hidden states [N, T, H] and the last [directions, N, H]."""
    y, last = rnn(x) if state is None else rnn(x, state if len(state) == 2 else state[0])
    return y, (last[0] if rnn.mode == "LSTM" else last)


def update(rnn: nn.RNNBase, x: Tensor, state: State) -> State:
    """One position with a layer's weights: x [N, D] and the state's [N, H] to the next state."""
    return advance(rnn.mode, x, state, rnn.all_weights[0])


def run_ragged(rnn: nn.RNNBase, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The same of series of unequal length, from zeros: the last states are those at the ends of the series."""
    if not rnn.bidirectional:
        y, _ = run(rnn, x)
        return y, last_place(y, lengths).unsqueeze(0)
    if recording():                      # packing looks at the numbers
        return _both_ways(rnn, x, lengths)
    packed, last = rnn(pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False))
    y, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    return y, (last[0] if rnn.mode == "LSTM" else last)


def _both_ways(rnn: nn.RNNBase, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The same by one layer for each direction, the second of which reads each series from its own end."""
    kernel: Any = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[rnn.mode]
    start = x.new_zeros(1, x.shape[0], rnn.hidden_size)
    ways = []
    for own, read in zip(rnn.all_weights, (x, turned(x, lengths)), strict=True):
        ways.append(kernel(read, (start, start) if rnn.mode == "LSTM" else start, own, True, 1, 0.0, False, False, True)[0])
    last = torch.stack([last_place(way, lengths) for way in ways])
    return torch.cat([ways[0], turned(ways[1], lengths)], 2), last


class Recurrent(Contextual):
    """Reads a sequence and returns every hidden state, the last one or their mean.

    With `reverse` it reads from the last position to the first; what it returns stands at the positions it belongs to,
    and the last state is the one after the first position. Both directions stand side by side in the features. Of series of unequal
    length it reads the real places alone. In training `dropout` hides a share of what it returns, each value by itself.
    """

    def __init__(self, name: str, rnn: nn.RNNBase, returns: str, reverse: bool, dropout: nn.Module | None = None) -> None:
        super().__init__()
        self.name = name
        self.add_module(name, rnn)
        self.dropout = dropout
        self.returns = returns
        self.reverse = reverse

    @property
    def cell(self) -> nn.RNNBase:
        """The layer of torch, under its own name, which the paths of its weights carry."""
        cell = getattr(self, self.name)
        assert isinstance(cell, nn.RNNBase)
        return cell

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, T, D] to [N, T, H], or to [N, H]; H counts both directions."""
        lengths = lengths_in(context)
        x = turned(x, lengths) if self.reverse else x
        y, last = run(self.cell, x) if lengths is None else run_ragged(self.cell, x, lengths)
        return dropped(self.dropout, returned(turned(y, lengths) if self.reverse else y, last, self.returns, lengths))

    def step(self, x: Tensor, memory: dict[nn.Module, State]) -> Tensor:
        """One position [N, 1, D] to [N, 1, H]; the state of this step is kept in `memory`, and is zero at first.

        What is dropped is drawn anew at each position, as it is over all at once.
        """
        if self not in memory:
            memory[self] = (x.new_zeros(x.shape[0], self.cell.hidden_size),) * states_of(self.cell.mode)
        memory[self] = update(self.cell, x[:, 0], memory[self])
        return dropped(self.dropout, memory[self][0].unsqueeze(1))

    def extra_repr(self) -> str:
        """What it returns and which way it reads."""
        return f"returns={self.returns}, reverse={self.reverse}"


def dropped(dropout: nn.Module | None, y: Tensor) -> Tensor:
    """What goes on to the next layer, [N, T, H], where a dropout stands behind this one."""
    return y if dropout is None else dropout(y)


def returned(y: Tensor, last: Tensor, returns: str, lengths: Tensor | None = None) -> Tensor:
    """All of y [N, T, H], its mean over T, or the last states [directions, N, H] side by side."""
    if returns == "sequence":
        return y
    return mean_place(y, lengths) if returns == "mean" else last.transpose(0, 1).flatten(1)


class Undriven(nn.Module):
    """A recurrent layer without inputs: torch's with input 0, less the weights that would multiply it.

    Parameters are named and drawn as torch does it.
    """

    def __init__(self, mode: str, width: int, bidirectional: bool) -> None:
        super().__init__()
        self.mode = mode
        self.width = width
        self.directions = ("", "_reverse") if bidirectional else ("",)
        gates = GATES[mode] * width
        for way in self.directions:
            self.register_parameter(f"weight_hh_l0{way}", nn.Parameter(torch.empty(gates, width)))
            self.register_parameter(f"bias_ih_l0{way}", nn.Parameter(torch.empty(gates)))
            self.register_parameter(f"bias_hh_l0{way}", nn.Parameter(torch.empty(gates)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within ±1/√width."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -self.width ** -0.5, self.width ** -0.5)

    def forward(self, state: State, length: int) -> tuple[Tensor, Tensor]:
        """Starts of [directions, N, H] to all hidden states [N, length, H] and the last [directions, N, H]."""
        runs = [self._run(way, tuple(part[i] for part in state), length) for i, way in enumerate(self.directions)]
        last = torch.stack([run[-1] for run in runs])
        ways = [torch.stack(run if i == 0 else run[::-1], 1) for i, run in enumerate(runs)]
        return torch.cat(ways, 2), last

    def _run(self, way: str, state: State, length: int) -> list[Tensor]:
        weight = getattr(self, f"weight_hh_l0{way}")
        nothing, unused = weight.new_empty(state[0].shape[0], 0), weight.new_empty(weight.shape[0], 0)
        weights = (unused, weight, getattr(self, f"bias_ih_l0{way}"), getattr(self, f"bias_hh_l0{way}"))
        hidden = []
        for _ in range(length):
            state = advance(self.mode, nothing, state, weights)
            hidden.append(state[0])
        return hidden

    def extra_repr(self) -> str:
        """Kind, width and directions."""
        return f"{self.mode}, {self.width}, bidirectional={len(self.directions) == 2}"


class Unfold(nn.Module):
    """Turns a code into a sequence: the code sets the first state, and nothing is fed in after it."""

    def __init__(self, name: str, initial: nn.Module, rnn: Undriven, length: int, returns: str, reverse: bool,
                 dropout: nn.Module | None = None) -> None:
        super().__init__()
        self.initial = initial
        self.add_module(name, rnn)
        self.name = name
        self.dropout = dropout
        self.length = length
        self.returns = returns
        self.reverse = reverse

    def forward(self, code: Tensor) -> Tensor:
        """[N, D] to [N, length, H], or to [N, H]."""
        cell = getattr(self, self.name)
        y, last = cell(split_state(self.initial(code), cell.mode, len(cell.directions)), self.length)
        return dropped(self.dropout, returned(y.flip(1) if self.reverse else y, last, self.returns))

    def extra_repr(self) -> str:
        """Length and direction."""
        return f"length={self.length}, returns={self.returns}, reverse={self.reverse}"


class Unroll(Contextual, Random):
    """A decoder that is fed its own last output: the cell and, behind it, all that is left of the decoder.

    The code sets the first state. At the first position the input is zero; at each later one it is the expected value of
    the model's output at the position before, or, while training and with probability `teacher_forcing` for each sample and
    position, the true value there (scheduled sampling, Bengio et al., 2015; gradients flow through the values fed back), where the
    `mask` of the context has none that is missing. With `reverse` the last position comes first (Srivastava et al., 2015; Malhotra et
    al., 2016). With `teacher_forcing` at 1 and nothing missing all inputs are known beforehand, so training runs over all positions
    at once.
    """

    def __init__(self, name: str, initial: nn.Module, rnn: nn.RNNBase, tail: nn.Module, length: int, reverse: bool,
                 teacher_forcing: float) -> None:
        super().__init__()
        self.initial = initial
        self.name = name
        self.add_module(name, rnn)
        self.tail = tail
        self.length = length
        self.reverse = reverse
        self.teacher_forcing = teacher_forcing

    @property
    def cell(self) -> nn.RNNBase:
        """The layer of torch."""
        cell = getattr(self, self.name)
        assert isinstance(cell, nn.RNNBase)
        return cell

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """Code [N, D] to the likelihood's parameters [N, T, k·C]; the context has `mean` and, in training, `target` [N, T, C]."""
        state = split_state(self.initial(x), self.cell.mode, 1)
        truth: Tensor | None = context.get("target") if self.training and self.teacher_forcing > 0 else None
        if truth is not None and self.teacher_forcing >= 1 and "mask" not in context:
            return self._taught(state, truth.to(x.dtype))
        return self._fed_back(tuple(part[0] for part in state), context, None if truth is None else truth.to(x.dtype))

    def _taught(self, state: State, truth: Tensor) -> Tensor:
        """All positions at once, each after the true value before it."""
        truth = truth.flip(1) if self.reverse else truth
        before = torch.cat([torch.zeros_like(truth[:, :1]), truth[:, :-1]], 1)               # (N, T, C)
        y, _ = run(self.cell, before, state)                                                  # (N, T, H)
        params: Tensor = self.tail(y.flip(1) if self.reverse else y)
        return params

    def _fed_back(self, state: State, context: dict[str, Any], truth: Tensor | None) -> Tensor:
        """One position after the other."""
        memory: dict[nn.Module, State] = {}
        value = state[0].new_zeros(state[0].shape[0], self.cell.input_size)              # (N, C)
        heard = (truth, context.get("mask"))
        params: list[Tensor] = []
        before = 0
        for place in self._places():
            if params:
                value = self._input(context["mean"](params[-1])[:, 0], *(None if part is None else part[:, before] for part in heard))
            state = update(self.cell, value, state)
            params.append(step(self.tail, state[0].unsqueeze(1), memory))                    # (N, 1, k·C)
            before = place
        return torch.cat(params[::-1] if self.reverse else params, 1)

    def _places(self) -> Iterable[int]:
        return range(self.length - 1, -1, -1) if self.reverse else range(self.length)

    def _input(self, guess: Tensor, truth: Tensor | None, known: Tensor | None = None) -> Tensor:
        """What is fed in: the model's own value [N, C], or the true one where it is known and the coin says so."""
        if truth is None:
            return guess
        told = self.drawn(torch.rand, (guess.shape[0], 1), guess.device) < self.teacher_forcing
        return torch.where(told if known is None else told & known, truth, guess)

    def extra_repr(self) -> str:
        """Length, direction and the share of true values."""
        return f"length={self.length}, reverse={self.reverse}, teacher_forcing={self.teacher_forcing}"


def step(module: nn.Module, x: Tensor, memory: dict[nn.Module, State]) -> Tensor:
    """One position [N, 1, D] through a module that looks at no other; recurrent steps remember in `memory`."""
    if isinstance(module, Recurrent):
        return module.step(x, memory)
    if isinstance(module, Stage):
        for inner in module.children():
            x = step(inner, x, memory)
        return x
    if isinstance(module, Residual):
        y = x
        for name in module.order:
            y = step(module.get_submodule(name), y, memory)
        y = y + (x if module.shortcut is None else module.shortcut(x))
        return y if module.activation is None else module.activation(y)
    result: Tensor = module(x)
    return result


class RepeatAlong(nn.Module):
    """The same vector at each of `length` positions, without copying it."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, x: Tensor) -> Tensor:
        """[N, D] to [N, length, D]."""
        return x.unsqueeze(1).expand(-1, self.length, -1)

    def extra_repr(self) -> str:
        """The length."""
        return f"{self.length}"


def assemble(children: Mapping[str, nn.Module], role: str, **options: Any) -> nn.Module:
    """The module of a planned node: `layer` and `undriven` are leaves, `read`, `unfold` and `unroll` run one of them."""
    if role == "layer":
        return layer(**options)
    if role == "undriven":
        return Undriven(**options)
    cell: Any = children[options["name"]]
    if role == "read":
        return Recurrent(rnn=cell, dropout=children.get("dropout"), **options)
    if role == "unfold":
        return Unfold(rnn=cell, initial=children["initial"], dropout=children.get("dropout"), **options)
    del options["dials"]                  # for the trainer, which turns them
    return Unroll(rnn=cell, initial=children["initial"], tail=children["tail"], **options)

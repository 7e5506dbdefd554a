"""Recurrent modules: values, gradients, weights and errors as torch's."""

import copy
import pickle
import warnings

import pytest
import wengert as wg
from nn_compare import both, data, torch, weighed
from support import is_put

KINDS = ["RNN", "LSTM", "GRU"]
# Options, of those that every kind has.
OPTIONS = {
    "plain": {},
    "no bias": {"bias": False},
    "batch first": {"batch_first": True},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "three layers, both directions": {"num_layers": 3, "bidirectional": True, "batch_first": True},
}
CASES = [(kind, options) for kind in KINDS for options in OPTIONS.values()]
CASES += [
    ("RNN", {"nonlinearity": "relu"}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True, "bias": False}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 1, "num_layers": 2, "bidirectional": True, "bias": False}),
    ("LSTM", {"proj_size": 2, "bidirectional": True, "batch_first": True}),
]
IDS = [f"{i}-{kind}" for i, (kind, _) in enumerate(CASES)]
INPUT, HIDDEN, LENGTHS = 4, 3, [2, 5, 1, 5]


def make(lib, kind, options):
    return getattr(lib.nn, kind)(INPUT, HIDDEN, **options)


def states(lib, kind, options, batch, dtype="float32"):
    """A state as the module wants it, its tensors leaves; `batch` is () for none."""
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    features = [options.get("proj_size") or HIDDEN] + [HIDDEN] * (kind == "LSTM")
    made = [
        data(lib, count, *batch, size, seed=7 + k, dtype=dtype, grad=True) for k, size in enumerate(features)
    ]
    return tuple(made) if kind == "LSTM" else made[0]


def leaves(hx):
    return list(hx) if isinstance(hx, tuple) else [hx]


def packed(lib, x, lengths=LENGTHS, enforce_sorted=False, batch_first=False):
    return lib.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted)


@pytest.mark.parametrize("kind, options", CASES, ids=IDS)
def test_weights_and_repr(kind, options):
    def program(lib):
        module = make(lib, kind, options)
        names = [[w.shape for w in ws] for ws in module.all_weights]
        return [repr(module), dict(module.state_dict()), names, module._flat_weights_names, module.mode]

    both(program, tol=1e-7)


@pytest.mark.devices(sample=8)
@pytest.mark.parametrize("form", ["batch", "one", "packed"])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind, options", CASES, ids=IDS)
def test_forward_backward(kind, options, given, form):
    def program(lib):
        module = make(lib, kind, options)
        first = options.get("batch_first", False)
        batch = () if form == "one" else (4,)
        shape = (5, *batch, INPUT) if not (first and batch) else (4, 5, INPUT)
        x = data(lib, *shape, grad=True)
        hx = states(lib, kind, options, batch) if given else None
        output, last = module(packed(lib, x, batch_first=first) if form == "packed" else x, hx)
        if form == "packed":
            output, lengths = lib.nn.utils.rnn.pad_packed_sequence(output)
            assert lengths.tolist() == LENGTHS
        results = [output, *leaves(last)]
        assert lib is torch or all(is_put(t) for t in results)
        weighed(lib, results).backward()
        inputs = [x, *(leaves(hx) if given else []), *module.parameters()]
        return [type(last).__name__, results, [t.grad for t in inputs]]

    both(program, tol=5e-5)


@pytest.mark.parametrize("form", ["batch", "packed"])
@pytest.mark.parametrize("kind, options", CASES, ids=IDS)
def test_second_derivative(kind, options, form):
    def program(lib):
        module = make(lib, kind, options).double()
        shape = (4, 5, INPUT) if options.get("batch_first") else (5, 4, INPUT)
        x = data(lib, *shape, dtype="float64", grad=True)
        hx = states(lib, kind, options, (4,), "float64")
        fed = packed(lib, x, batch_first=options.get("batch_first", False)) if form == "packed" else x
        output, last = module(fed, hx)
        output = output.data if form == "packed" else output
        wanted = [x, *leaves(hx), *module.parameters()]
        loss = weighed(lib, [output, *leaves(last)], "float64")
        first = lib.autograd.grad(loss, wanted, create_graph=True)
        total = sum((g * g).sum() for g in first)
        return [output, list(first), list(lib.autograd.grad(total, wanted))]

    both(program, tol=1e-8)


@pytest.mark.parametrize("form", ["batch", "packed"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_dropout_between_layers(kind, training, form):
    """The same elements are dropped, for the numbers are drawn in torch's order."""

    def program(lib):
        module = make(lib, kind, {"num_layers": 3, "dropout": 0.4, "bidirectional": True}).train(training)
        x = data(lib, 5, 4, INPUT, grad=True)
        lib.manual_seed(3)
        output, last = module(packed(lib, x) if form == "packed" else x)
        results = [output.data if form == "packed" else output, *leaves(last)]
        weighed(lib, results).backward()
        return [results, x.grad, lib.rand(2)]

    ours, _ = both(program, tol=5e-5)
    assert bool((ours[0][0] == 0).any()) is False  # the last layer's output is not dropped


def test_all_is_dropped_at_1():
    def program(lib):
        module = make(lib, "GRU", {"num_layers": 2, "dropout": 1})
        return [*module(data(lib, 5, 4, INPUT)), module.dropout, repr(module)]

    both(program)


@pytest.mark.parametrize("kind", KINDS)
def test_few_steps_and_examples(kind):
    """One step, one example, none: shapes and gradients still fit."""

    def program(lib):
        results = []
        for length, batch in ((1, 1), (1, 4), (3, 1), (3, 0)):
            module = make(lib, kind, {"bidirectional": True})
            x = data(lib, length, batch, INPUT, grad=True)
            output, last = module(x)
            output.sum().backward()
            results += [output, *leaves(last), x.grad, *(p.grad for p in module.parameters())]
        return results

    both(program)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[1, 1, 1], [3, 3, 3], [5, 5, 2], [5, 4, 3], [4, 1, 1]])
def test_sorted_lengths(kind, lengths):
    def program(lib):
        module = make(lib, kind, {"bidirectional": True, "num_layers": 2})
        x = data(lib, 5, 3, INPUT, grad=True)
        hx = states(lib, kind, {"bidirectional": True, "num_layers": 2}, (3,))
        output, last = module(packed(lib, x, lib.tensor(lengths), enforce_sorted=True), hx)
        weighed(lib, [output.data, *leaves(last)]).backward()
        unsorted = [output.sorted_indices, output.unsorted_indices]
        return [
            output.data,
            output.batch_sizes,
            unsorted,
            *leaves(last),
            x.grad,
            [h.grad for h in leaves(hx)],
        ]

    both(program, tol=5e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_sequence_is_each_sequence_alone(kind):
    module = make(wg, kind, {"bidirectional": True}).double()
    x = data(wg, 5, 4, INPUT, dtype="float64")
    output, last = module(packed(wg, x))
    rows = wg.nn.utils.rnn.unpack_sequence(output)
    for k, length in enumerate(LENGTHS):
        alone, end = module(x[:length, k])
        assert wg.allclose(rows[k], alone, atol=1e-12)
        for all_of_them, one in zip(leaves(last), leaves(end), strict=True):
            assert wg.allclose(all_of_them[:, k], one, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_dtypes(kind, dtype):
    def program(lib):
        module = getattr(lib.nn, kind)(INPUT, HIDDEN, dtype=getattr(lib, dtype))
        output, last = module(data(lib, 5, 4, INPUT).to(getattr(lib, dtype)))
        return [output.double(), *(h.double() for h in leaves(last)), [str(output.dtype).split(".")[1]]]

    both(program, tol=1e-10 if dtype == "float64" else 2e-2)


@pytest.mark.parametrize("kind", [*KINDS, "RNNCell", "LSTMCell", "GRUCell"])
def test_copies_and_pickles(kind):
    module = make(wg, kind, {})
    x = data(wg, 5, INPUT)
    expected = leaves(module(x)[0])
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(twin) == repr(module) and list(twin.state_dict()) == list(module.state_dict())
        assert wg.equal(leaves(twin(x)[0])[0], expected[0])
        with wg.no_grad():
            twin.get_parameter(next(iter(twin.state_dict()))).zero_()
        assert not wg.equal(leaves(twin(x)[0])[0], expected[0])  # its forward reads its own weights


def test_weights_that_were_replaced_are_used():
    """By assignment, by functional_call, and by a parametrization."""

    def program(lib):
        module, x = make(lib, "LSTM", {}), data(lib, 5, 4, INPUT)
        plain = module(x)[0]
        module.weight_hh_l0 = lib.nn.Parameter(module.weight_hh_l0.detach() * 2)
        assigned = module(x)[0]
        other = {"weight_ih_l0": lib.zeros(4 * HIDDEN, INPUT)}
        called = lib.func.functional_call(module, other, (x,))[0]
        lib.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
        return [plain, assigned, called, module(x)[0]]

    both(program)


def test_a_step_of_training_and_flatten_parameters():
    def program(lib):
        module = lib.nn.GRU(INPUT, HIDDEN, 2)
        assert module.flatten_parameters() is None
        optimizer = lib.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            module(data(lib, 5, 4, INPUT))[0].pow(2).sum().backward()
            optimizer.step()
        return dict(module.state_dict())

    both(program, tol=5e-5)


def test_reset_parameters_draws_anew():
    both(lambda lib: [(m := lib.nn.LSTM(2, 3)).reset_parameters(), dict(m.state_dict())], tol=1e-7)


# -- cells ---------------------------------------------------------------------------------------------

CELLS = [
    ("RNNCell", {}),
    ("RNNCell", {"nonlinearity": "relu"}),
    ("RNNCell", {"bias": False}),
    ("LSTMCell", {}),
    ("LSTMCell", {"bias": False}),
    ("GRUCell", {}),
    ("GRUCell", {"bias": False}),
]


@pytest.mark.devices(sample=8)
@pytest.mark.parametrize("batch", [(5,), ()])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind, options", CELLS)
def test_cells(kind, options, given, batch):
    def program(lib):
        module = make(lib, kind, options)
        x = data(lib, *batch, INPUT, grad=True)
        hx = [data(lib, *batch, HIDDEN, seed=k, grad=True) for k in range(1 + (kind == "LSTMCell"))]
        state = (tuple(hx) if kind == "LSTMCell" else hx[0]) if given else None
        once = module(x, state)
        results = [*leaves(once), *leaves(module(x, once))]
        weighed(lib, results).backward()
        grads = [t.grad for t in [x, *(hx if given else []), *module.parameters()]]
        return [repr(module), type(once).__name__, results, grads, dict(module.state_dict())]

    ours, _ = both(program, tol=5e-5)
    assert len(ours[3]) == 1 + given * (1 + (kind == "LSTMCell")) + (2 if "bias" in options else 4)


@pytest.mark.devices(sample=4)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name, gates", [("rnn_tanh", 1), ("rnn_relu", 1), ("lstm", 4), ("gru", 3)])
def test_cells_as_functions(name, gates, bias):
    def program(lib):
        x = data(lib, 5, INPUT, dtype="float64", grad=True)
        hx = [data(lib, 5, HIDDEN, seed=k, dtype="float64", grad=True) for k in range(1 + (name == "lstm"))]
        rows = gates * HIDDEN
        shapes = [(rows, INPUT), (rows, HIDDEN)] + [(rows,), (rows,)] * bias
        weights = [
            data(lib, *shape, seed=9 + k, dtype="float64", grad=True) for k, shape in enumerate(shapes)
        ]
        results = leaves(getattr(lib, name + "_cell")(x, tuple(hx) if name == "lstm" else hx[0], *weights))
        wanted = [x, *hx, *weights]
        first = lib.autograd.grad(weighed(lib, results, "float64"), wanted, create_graph=True)
        second = lib.autograd.grad(sum((g * g).sum() for g in first), wanted)
        return [results, list(first), list(second)]

    both(program, tol=1e-8)


# -- errors --------------------------------------------------------------------------------------------


def zeros(lib, *shape):
    return lib.zeros(*shape)


CONSTRUCTIONS = {
    "dropout above 1": ("LSTM", (4, 3, 2), {"dropout": 1.5}),
    "dropout that is a bool": ("GRU", (4, 3, 2), {"dropout": True}),
    "bias that is a number": ("LSTM", (4, 3), {"bias": 1}),
    "batch_first that is a number": ("LSTM", (4, 3), {"batch_first": 1}),
    "float input_size": ("RNN", (4.0, 3), {}),
    "float hidden_size": ("RNN", (4, 3.0), {}),
    "float num_layers": ("RNN", (4, 3, 1.5), {}),
    "no input": ("GRU", (0, 3), {}),
    "nothing hidden": ("GRU", (4, 0), {}),
    "no layers": ("GRU", (4, 3, 0), {}),
    "proj_size below 0": ("LSTM", (4, 3), {"proj_size": -1}),
    "proj_size too large": ("LSTM", (4, 3), {"proj_size": 3}),
    "proj_size of a GRU": ("GRU", (4, 3), {"proj_size": 2}),
    "proj_size of an RNN": ("RNN", (4, 3), {"proj_size": 2}),
    "nonlinearity": ("RNN", (4, 3), {"nonlinearity": "sigmoid"}),
    "nonlinearity by position": ("RNN", (4, 3, 1, "sigmoid"), {}),
    "unknown option": ("LSTM", (4, 3), {"nonlinearity": "tanh"}),
    "too few sizes": ("LSTM", (4,), {}),
    "mode": ("RNNBase", ("MGU", 4, 3), {}),
}


@pytest.mark.parametrize("case", CONSTRUCTIONS)
def test_options_out_of_range(case):
    kind, args, kwargs = CONSTRUCTIONS[case]
    ours, theirs = both(lambda lib: getattr(lib.nn, kind)(*args, **kwargs))
    assert isinstance(theirs, Exception) and str(ours)


@pytest.mark.only_wengert
def test_dropout_of_one_layer_warns():
    """And shows the line that constructs the module, where torch shows its own."""
    with pytest.warns(UserWarning, match="num_layers greater than 1") as caught:
        wg.nn.LSTM(4, 3, dropout=0.3)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wg.nn.LSTM(4, 3, 2, dropout=0.3)


INPUTS = {
    "a 4-dimensional input": lambda lib, m, two: m(zeros(lib, 1, 5, 2, 4)),
    "a 1-dimensional input": lambda lib, m, two: m(zeros(lib, 4)),
    "no steps": lambda lib, m, two: m(zeros(lib, 0, 2, 4)),
    "other features": lambda lib, m, two: m(zeros(lib, 5, 2, 3)),
    "another dtype": lambda lib, m, two: m(zeros(lib, 5, 2, 4).double()),
    "integers": lambda lib, m, two: m(zeros(lib, 5, 2, 4).long()),
    "a state of another batch": lambda lib, m, two: m(zeros(lib, 5, 2, 4), two(zeros(lib, 1, 3, 3))),
    "a state of other features": lambda lib, m, two: m(zeros(lib, 5, 2, 4), two(zeros(lib, 1, 2, 4))),
    "a state of more layers": lambda lib, m, two: m(zeros(lib, 5, 2, 4), two(zeros(lib, 2, 2, 3))),
    "a state without its batch": lambda lib, m, two: m(zeros(lib, 5, 2, 4), two(zeros(lib, 1, 3))),
    "a state with a batch": lambda lib, m, two: m(zeros(lib, 5, 4), two(zeros(lib, 1, 1, 3))),
    "a state of another dtype": lambda lib, m, two: m(zeros(lib, 5, 2, 4), two(zeros(lib, 1, 2, 3).double())),
    "a packed sequence of other features": lambda lib, m, two: m(packed(lib, zeros(lib, 5, 4, 3))),
    "a packed sequence of vectors": lambda lib, m, two: m(packed(lib, zeros(lib, 5, 4))),
    "a sequence of tensors": lambda lib, m, two: m([zeros(lib, 5, 4)]),
}


@pytest.mark.parametrize("case", INPUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_inputs(kind, case):
    def program(lib):
        return INPUTS[case](lib, make(lib, kind, {}), lambda h: (h, h) if kind == "LSTM" else h)

    ours, theirs = both(program)
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)


@pytest.mark.only_wengert
@pytest.mark.parametrize("kind", KINDS)
def test_fewer_states_than_packed_sequences(kind):
    """torch's LSTM reads memory that is not there."""
    h = wg.zeros(1, 2, 3)
    with pytest.raises(RuntimeError, match=r"size \(1, 4, 3\), got \[1, 2, 3\]"):
        make(wg, kind, {})(packed(wg, wg.zeros(5, 4, 4), [5] * 4, True), (h, h) if kind == "LSTM" else h)


CELL_INPUTS = {
    "a 3-dimensional input": lambda lib, m, two: m(zeros(lib, 1, 5, 4)),
    "other features": lambda lib, m, two: m(zeros(lib, 5, 3)),
    "another dtype": lambda lib, m, two: m(zeros(lib, 5, 4).double()),
    "a state of another batch": lambda lib, m, two: m(zeros(lib, 5, 4), two(zeros(lib, 2, 3))),
    "a state of other features": lambda lib, m, two: m(zeros(lib, 5, 4), two(zeros(lib, 5, 2))),
    "a 3-dimensional state": lambda lib, m, two: m(zeros(lib, 5, 4), two(zeros(lib, 1, 5, 3))),
    "a state without its batch": lambda lib, m, two: m(zeros(lib, 5, 4), two(zeros(lib, 3))),
    "a state with a batch": lambda lib, m, two: m(zeros(lib, 4), two(zeros(lib, 1, 3))),
    "a state of another dtype": lambda lib, m, two: m(zeros(lib, 5, 4), two(zeros(lib, 5, 3).double())),
}


@pytest.mark.parametrize("case", CELL_INPUTS)
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_wrong_inputs_of_cells(kind, case):
    def program(lib):
        return CELL_INPUTS[case](lib, make(lib, kind, {}), lambda h: (h, h) if kind == "LSTMCell" else h)

    ours, theirs = both(program)
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)


OTHER_ERRORS = {
    "states of an LSTM that are a tensor": lambda lib: lib.nn.LSTM(4, 3)(
        zeros(lib, 5, 3, 4), zeros(lib, 2, 1, 3, 3)
    ),
    "three states of an LSTM": lambda lib: lib.nn.LSTM(4, 3)(zeros(lib, 5, 3, 4), (zeros(lib, 1, 3, 3),) * 3),
    "a c of other features": lambda lib: lib.nn.LSTM(4, 3, proj_size=2)(
        zeros(lib, 5, 3, 4), (zeros(lib, 1, 3, 2),) * 2
    ),
    "a c of another dtype": lambda lib: lib.nn.LSTM(4, 3)(
        zeros(lib, 5, 3, 4), (zeros(lib, 1, 3, 3), zeros(lib, 1, 3, 3).double())
    ),
    "states of an LSTMCell that are a tensor": lambda lib: lib.nn.LSTMCell(4, 3)(
        zeros(lib, 5, 4), zeros(lib, 2, 5, 3)
    ),
    "three states of an LSTMCell": lambda lib: lib.nn.LSTMCell(4, 3)(
        zeros(lib, 5, 4), (zeros(lib, 5, 3),) * 3
    ),
    "one state": lambda lib: lib.lstm_cell(
        zeros(lib, 5, 4), (zeros(lib, 5, 3),), zeros(lib, 12, 4), zeros(lib, 12, 3)
    ),
    "a tensor": lambda lib: lib.lstm_cell(
        zeros(lib, 5, 4), zeros(lib, 2, 5, 3), zeros(lib, 12, 4), zeros(lib, 12, 3)
    ),
    "an example alone": lambda lib: lib.gru_cell(
        zeros(lib, 4), zeros(lib, 3), zeros(lib, 9, 4), zeros(lib, 9, 3)
    ),
    "too few gates": lambda lib: lib.gru_cell(
        zeros(lib, 5, 4), zeros(lib, 5, 3), zeros(lib, 8, 4), zeros(lib, 9, 3)
    ),
    "too few gates of h": lambda lib: lib.lstm_cell(
        zeros(lib, 5, 4), (zeros(lib, 5, 3),) * 2, zeros(lib, 12, 4), zeros(lib, 9, 3)
    ),
    "an unknown nonlinearity": lambda lib: lib.nn.RNNCell(4, 3, nonlinearity="sine")(zeros(lib, 5, 4)),
    "a projection by position": lambda lib: lib.nn.GRU(4, 3, 1, True, False, 0.0, False, 2)(
        zeros(lib, 5, 1, 4)
    ),
    "batch sizes that grow": lambda lib: lib.nn.GRU(4, 3)(
        lib.nn.utils.rnn.PackedSequence(zeros(lib, 3, 4), lib.tensor([1, 2]))
    ),
    "batch sizes of fewer rows": lambda lib: lib.nn.GRU(4, 3)(
        lib.nn.utils.rnn.PackedSequence(zeros(lib, 3, 4), lib.tensor([3, 1]))
    ),
    "the base class": lambda lib: lib.nn.RNNBase("LSTM", 4, 3)(zeros(lib, 5, 1, 4)),
}


@pytest.mark.parametrize("case", OTHER_ERRORS)
def test_other_errors(case):
    ours, theirs = both(OTHER_ERRORS[case])
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)


def test_the_checks_are_public():
    def program(lib):
        lstm, gru = lib.nn.LSTM(4, 3, 2, proj_size=2, batch_first=True), lib.nn.GRU(4, 3, bidirectional=True)
        x, sizes = zeros(lib, 5, 6, 4), lib.tensor([4, 2])
        sizes_of = [
            lstm.get_expected_hidden_size(x, None),
            lstm.get_expected_cell_size(x, None),
            gru.get_expected_hidden_size(x, None),
            gru.get_expected_hidden_size(zeros(lib, 6, 4), sizes),
        ]
        assert gru.check_forward_args(x, zeros(lib, 2, 6, 3), None) is None
        assert lstm.check_input(zeros(lib, 6, 4), sizes) is None
        order = lib.tensor([1, 0])
        h = data(lib, 1, 2, 3)
        return [sizes_of, gru.permute_hidden(h, order), lstm.permute_hidden((h, h), order), lstm.all_weights]

    both(program)
    with pytest.raises(RuntimeError, match=r"wanted \(1, 2\), not \[2, 1\]"):
        wg.nn.GRU(4, 3).check_hidden_size(wg.zeros(2, 1), (1, 2), "wanted {}, not {}")

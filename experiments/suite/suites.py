"""The suites as data: which tasks, at which budget, scored how."""

from experiments.errors import Fault, nearest
from experiments.suite.base import Part, Suite
from experiments.suite.scores import Accuracy, Error

HIDDEN_SIZE = 64
"""Units of every cell."""
BATCH_SIZE = 32

SHARED = f"--hidden-size {HIDDEN_SIZE} --batch-size {BATCH_SIZE} --log-every 100"

CORE = (
    Part(
        "adding",
        "add the two marked numbers among 30",
        "adding_problem",
        "--num-steps 30",
        1000,
        Error("mse"),
    ),
    Part(
        "copying",
        "repeat 3 symbols of 8 kinds, in their order, after 15 blank steps",
        "copy_memory",
        "--delay 15 --num-recalled 3",
        1500,
        Accuracy("recall_accuracy", chance=1 / 8),
    ),
    Part(
        "temporal order",
        "name the order of two symbols, 18 to 30 steps apart among distractors, after 60 to 66 steps",
        "temporal_order",
        "--num-steps 60",
        400,
        Accuracy("accuracy", chance=1 / 4),
    ),
    Part(
        "parity",
        "is the number of ones even? trained on up to 20 bits, tested on 40",
        "formal.parity",
        "--max-length 20",
        1300,
        Accuracy("accuracy", chance=1 / 2),
        test_length=40,
    ),
    Part(
        "word problem",
        "the product so far of elements of S3, at every step; trained on up to 16, tested on 32",
        "formal.word_problem",
        "--group s3 --max-length 16",
        1300,
        Accuracy("accuracy", chance=1 / 6),
        test_length=32,
    ),
    Part(
        "flip-flop",
        "the bit that was written last; trained on 40 steps, tested on 160",
        "recall.flip_flop",
        "--num-steps 40",
        600,
        Accuracy("accuracy", chance=1 / 2),
        test_length=160,
    ),
    Part(
        "selective copying",
        "repeat 4 symbols of 8 kinds that stand at random places among 20",
        "recall.selective_copying",
        "--num-steps 24 --num-symbols 8 --num-recalled 4",
        1200,
        Accuracy("accuracy", chance=1 / 8),
    ),
    Part(
        "induction",
        "which of 8 symbols followed the trigger? trained on 24 steps, tested on 48",
        "recall.induction",
        "--num-steps 24 --num-symbols 8",
        1200,
        Accuracy("accuracy", chance=1 / 8),
        test_length=48,
    ),
    Part(
        "NARMA",
        "the output of a nonlinear system of order 10 from its input, 100 steps",
        "dynamics.narma",
        "--num-steps 100",
        300,
        Error("mse"),
    ),
    Part(
        "delay line",
        "the input of 0, 10, 20, 30 and 40 steps ago, of smooth noise",
        "recall.delay_line",
        "--delay 40 --cycles 6",
        300,
        Error("mse"),
    ),
)

FURTHER = (
    Part(
        "adding, 200 steps",
        "add the two marked numbers among 200",
        "adding_problem",
        "--num-steps 200",
        1000,
        Error("mse"),
        seconds=33,
    ),
    Part(
        "copying, 100 steps",
        "repeat 10 symbols of 8 kinds after 100 blank steps",
        "copy_memory",
        "--delay 100",
        1000,
        Accuracy("recall_accuracy", chance=1 / 8),
        seconds=20,
    ),
    Part(
        "temporal order, three",
        "name the order of three symbols among distractors, at the end of 60 steps",
        "temporal_order",
        "--num-steps 60 --variant three",
        1000,
        Accuracy("accuracy", chance=1 / 8),
        seconds=11,
    ),
    Part(
        "cycle navigation",
        "the place on a circle of five where a walk ends; trained on up to 20 steps, tested on 40",
        "formal.cycle_navigation",
        "--max-length 20",
        1000,
        Accuracy("accuracy", chance=1 / 5),
        test_length=40,
        seconds=4,
    ),
    Part(
        "word problem, S5",
        "the product so far of elements of S5, at every step; trained on up to 16, tested on 32",
        "formal.word_problem",
        "--group s5 --max-length 16",
        2000,
        Accuracy("accuracy", chance=1 / 120),
        test_length=32,
        seconds=6,
    ),
    Part(
        "word problem, Z60",
        "the sum so far modulo 60, at every step; trained on up to 16, tested on 32",
        "formal.word_problem",
        "--group z60 --max-length 16",
        2000,
        Accuracy("accuracy", chance=1 / 60),
        test_length=32,
        seconds=6,
    ),
    Part(
        "flip-flop, sparse",
        "the bit that was written last, in 128 steps of which nearly all are to be ignored",
        "recall.flip_flop",
        "--num-steps 128 --variant sparse",
        1000,
        Accuracy("accuracy", chance=1 / 2),
        seconds=21,
    ),
    Part(
        "selective copying, 64 steps",
        "repeat 8 symbols of 14 kinds that stand at random among 56 steps",
        "recall.selective_copying",
        "--num-steps 64 --num-recalled 8",
        1000,
        Accuracy("accuracy", chance=1 / 14),
        seconds=11,
    ),
    Part(
        "induction, 64 steps",
        "which of 16 symbols followed the trigger? trained on 64 steps, tested on 128",
        "recall.induction",
        "--num-steps 64",
        1000,
        Accuracy("accuracy", chance=1 / 16),
        test_length=128,
        seconds=11,
    ),
    Part(
        "NARMA, order 30",
        "the output of a nonlinear system of order 30 from its input, 300 steps",
        "dynamics.narma",
        "--num-steps 300 --variant order_30",
        500,
        Error("mse"),
        seconds=25,
    ),
    Part(
        "delay line, 50 steps",
        "the input of 0 to 50 steps ago, of smooth noise",
        "recall.delay_line",
        "--delay 50 --cycles 5",
        1000,
        Error("mse"),
        seconds=21,
    ),
)

SMOKE = (
    Part("adding", "add two of ten numbers", "adding_problem", "--num-steps 10", 20, Error("mse")),
    Part(
        "parity",
        "is the number of ones even?",
        "formal.parity",
        "--max-length 6",
        20,
        Accuracy("accuracy", chance=1 / 2),
        test_length=12,
    ),
)

SUITES = {
    "core": Suite("core", CORE, SHARED),
    "all": Suite("all", (*CORE, *FURTHER), SHARED),
    "smoke": Suite(
        "smoke",
        SMOKE,
        "--hidden-size 8 --batch-size 8 --num-evaluation 64 --evaluation-batch-size 64 --log-every 10",
        num_seeds=2,
    ),
}
"""``core`` places a cell in minutes; ``all`` is every task; ``smoke`` says in seconds whether it all works."""


def find(name: str) -> Suite:
    """The suite of a name; Fault where there is none."""
    if name not in SUITES:
        raise Fault(f"suite: unknown suite {name!r}{nearest(name, SUITES)} (known: {', '.join(SUITES)})")
    return SUITES[name]

"""SIGTERM and Ctrl-C become a flag, the second Ctrl-C stops at once, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from places import ROOT

from experiments.lab.training.signals import Interruption


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def former():
    """Handlers of a caller's, which must be back afterwards; they keep the tests' process alive, too."""
    seen: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda number, _: seen.append(number)) for number in numbers}
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_first_signal_is_a_flag_and_the_former_handlers_come_back(former, number, code):
    with Interruption() as interruption:
        assert interruption.requested is None
        assert interruption.exit_code == 0
        send(number)
        assert interruption.requested == number
        assert interruption.exit_code == code
        assert former == []
    send(number)
    assert former == [number]
    assert interruption.exit_code == code


def test_a_second_ctrl_c_raises_at_once(former):
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        send(signal.SIGINT)
        send(signal.SIGINT)
        pytest.fail("the second SIGINT did not raise")
    assert interruption.exit_code == 130
    send(signal.SIGINT)
    assert former == [signal.SIGINT]


def test_the_first_signal_decides_and_a_second_sigterm_is_patient():
    with Interruption() as interruption:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        send(signal.SIGINT)
        assert interruption.exit_code == 143
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_in_another_thread_it_does_nothing(former):
    seen = []

    def work() -> None:
        with Interruption() as interruption:
            send(signal.SIGTERM)
            seen.append((interruption.requested, interruption.exit_code))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, 0)]
    assert former == [signal.SIGTERM]


CHILD = """
import signal, sys, time
from experiments.lab.training.signals import Interruption
with Interruption() as interruption:
    print("ready", flush=True)
    while interruption.requested is None:
        time.sleep(0.01)
    print("saved", flush=True)
sys.exit(interruption.exit_code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_process_ends_in_order_with_the_code(number, code):
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert child.stdout.read() == "saved\n"
    assert child.returncode == code

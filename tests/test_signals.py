"""A signal sets the flag and nothing else; the handlers of before come back."""

import os
import signal
import threading

import pytest

from fpsolve.signals import STOPPING, stop_on_signal


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_sets_the_flag(number):
    before = signal.getsignal(number)
    with stop_on_signal() as stop:
        assert not stop() and stop.name is None
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)  # a second one changes nothing
        assert stop() and stop.name == signal.Signals(number).name
    assert signal.getsignal(number) == before


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="inside"), stop_on_signal():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGTERM) == before


def test_other_threads_get_a_flag_that_stays_down():
    seen = []

    def work():
        with stop_on_signal() as stop:
            seen.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]

"""The Slurm templates are good shell, and the program takes their command lines."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
import typer

from fpsolve.cli import app
from fpsolve.config import load_config

FOLDER = Path(__file__).parents[2] / "examples" / "slurm"
TEMPLATES = sorted(FOLDER.glob("*.sh"))


def commands(path):
    """The words after ``fpsolve`` of every command of a script, variables replaced by a number."""
    text = re.sub(r"^#.*$", "", path.read_text().replace("\\\n", " "), flags=re.M)
    return [shlex.split(re.sub(r"\$\w+", "7", line)) for line in re.findall(r"\bfpsolve (.*?)(?: &)?$", text, re.M)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_is_good_shell_and_its_commands_exist(path):
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert path.read_text().startswith("#!/bin/bash\n") and commands(path)
    program = typer.main.get_command(app)
    for command, *arguments in commands(path):
        context = program.commands[command].make_context(command, list(arguments))
        assert context.params["config"].suffix == ".toml"


def test_there_are_templates_for_the_three_kinds_of_job():
    assert {"single.sh", "array.sh", "early_signal.sh"} <= {path.name for path in TEMPLATES}


@pytest.mark.parametrize(("template", "program"), [("early_signal.sh", "srun"), ("array.sh", "fpsolve")])
@pytest.mark.parametrize("first", [75, 0, 3])
def test_the_trap_hands_the_signal_on_and_requeues_for_75_alone(first, template, program, tmp_path):
    """The script itself, with stand-ins for what it calls in its path."""
    stand_ins = {
        program: f'#!/bin/bash\ntrap "sleep 0.3; exit {first}" USR1\ntouch started\nwhile true; do sleep 0.05; done\n',
        "scontrol": '#!/bin/bash\necho "$@" > requeued\n',
    }
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "42"}
    environment |= {"SLURM_ARRAY_JOB_ID": "41", "SLURM_ARRAY_TASK_ID": "3"}
    script = ["bash", FOLDER / template]
    process = subprocess.Popen(script, cwd=tmp_path, env=environment, start_new_session=True)
    try:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
        time.sleep(0.2)  # the shell has noted whom to tell
        process.send_signal(signal.SIGUSR1)
        assert process.wait(timeout=20) == first
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (tmp_path / "requeued").exists() == (first == 75)
    if first == 75:
        assert (tmp_path / "requeued").read_text() == f"requeue {'42' if program == 'srun' else '41_3'}\n"


@pytest.mark.parametrize("first", [75, 0])
def test_a_task_of_the_sweep_is_requeued_for_75_alone(first, tmp_path):
    for name, text in (("srun", f"exit {first}"), ("scontrol", 'echo "$@" > requeued')):
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment |= {"SLURM_ARRAY_JOB_ID": "41", "SLURM_ARRAY_TASK_ID": "3"}
    done = subprocess.run(["bash", FOLDER / "sweep.sh"], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == first and (tmp_path / "requeued").exists() == (first == 75)


def test_the_sweep_gives_every_store_its_own_value(tmp_path):
    """The template's command over the sweep of examples/ensemble.toml: the value that names the store is in it."""
    for line in (FOLDER / "sweep.sh").read_text().splitlines():
        if "fpsolve ensemble" in line:
            words = shlex.split(line.replace("$beta", "8.0"))
            arguments = words[words.index("ensemble.toml") :]
    assert arguments[-1] == "beta-8.0.zarr"
    described = load_config(FOLDER.parent / "ensemble.toml", [arguments[arguments.index("--set") + 1]])
    assert described.sweep == {"beta": [8.0]}

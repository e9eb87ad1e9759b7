"""A fake PBS for tests: no scheduler and no nodes, but qsub, qstat, qselect and qdel that answer as PBS's do.

It really runs each script, at once, as a process in a session of its own that outlives whoever submitted it. All it
knows lies in the folder that FAKE_PBS names: a file for each job, `calls.jsonl` with every command given, and `knobs`,
whose files make it misbehave from the next command on:

`lost_response`: qsub makes its job and then fails ("fail") or never returns ("sleep")
`refused`: commands, such as "qsub qstat", that find no server
`full`: how many jobs may be queued or running before qsub takes no more
`says`: what a hook of the site has qsub print before the job's id
`queue_seconds`: how long a job waits before it starts
`hold`: jobs that have not started are held as long as it is there
`invalid_json`: qstat -F json gives no valid JSON
`no_history`: nothing is known of a job that has ended
`stage_out_seconds`: a job's output is in its file only so long after its end
`ends`: attributes that ended jobs have, by job name or `*`, as JSON: {"*": {"Exit_status": -29}}; null takes one away
"""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SERVER = "fakepbs"
QUEUES = ("workq", "debug")
KILL_SECONDS = 1.0
TICK_SECONDS = 0.03
COMMANDS = ("qsub", "qstat", "qselect", "qdel")
JobFile = dict[str, Any]


class FakePbs:
    """A fake PBS in a folder, as tests use it; `environment` makes the commands of this process find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = folder / "bin"
        for name in ("bin", "knobs", "jobs"):
            (folder / name).mkdir(parents=True)
        for command in COMMANDS:
            program = self._programs / command
            program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {Path(__file__)} {command} "$@"\n')
            program.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """What makes qsub and the others speak to this fake."""
        return {"FAKE_PBS": str(self.folder), "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}"}

    def set(self, knob: str, value: object = "") -> None:
        """Turn a knob; a value that is no text is written as JSON."""
        _write(self.folder / "knobs" / knob, value if isinstance(value, str) else json.dumps(value))

    def clear(self, knob: str) -> None:
        """Turn a knob back."""
        (self.folder / "knobs" / knob).unlink(missing_ok=True)

    def calls(self, command: str) -> list[list[str]]:
        """The words of each call of a command, without its name."""
        path = self.folder / "calls.jsonl"
        calls = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [words[1:] for words in calls if words[0] == command]

    def jobs(self) -> list[JobFile]:
        """The attributes of all jobs there have been, the oldest first."""
        return [_Server(self.folder).job(number) for number in _Server(self.folder).numbers()]

    def stop(self) -> None:
        """End all jobs and what they started; returns when they are gone."""
        for number in _Server(self.folder).numbers():
            (self.folder / "jobs" / f"{number}.delete").touch()
        limit = time.monotonic() + 20
        while any(job["job_state"] != "F" for job in self.jobs()):
            if time.monotonic() > limit:
                raise RuntimeError(f"jobs of the fake PBS in {self.folder} do not end: {self.jobs()}")
            time.sleep(TICK_SECONDS)


class _Server:
    """What all commands and the jobs' keepers share: the folder's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in (self.folder / "jobs").glob("*.json"))

    def path(self, number: int, suffix: str) -> Path:
        return self.folder / "jobs" / f"{number}{suffix}"

    def job(self, number: int) -> JobFile:
        return json.loads(self.path(number, ".json").read_text())

    def save(self, number: int, job: JobFile) -> None:
        _write(self.path(number, ".json"), json.dumps(job))

    def knob(self, name: str) -> str | None:
        try:
            return (self.folder / "knobs" / name).read_text()
        except FileNotFoundError:
            return None

    def known(self, job_id: str) -> int | None:
        """The number of a job that the server still knows."""
        found = re.fullmatch(rf"(\d+)(?:\.{SERVER})?", job_id)
        number = int(found[1]) if found else 0
        if not self.path(number, ".json").exists():
            return None
        return None if self.knob("no_history") is not None and self.job(number)["job_state"] == "F" else number

    def log_call(self, words: list[str]) -> None:
        with (self.folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps(words) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file that readers see either old or new."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _qsub(server: _Server, words: list[str]) -> int:
    options, rest = _options(words)
    if len(rest) != 1:
        _say("usage: qsub [-a date_time] [-A account_string] ... [script | -- command]")
        return 2
    script = Path(rest[0]).read_text()
    directives = [line.removeprefix("#PBS") for line in script.splitlines() if line.startswith("#PBS")]
    resources: dict[str, str] = {}
    for line in directives:
        more, trailing = _options(_words(line))
        if trailing:
            _say(f"qsub: directive error: {line.strip()}")
            return 1
        for letter, value in more:
            if letter == "l":
                resources.setdefault(*value.partition("=")[::2])
            elif letter not in dict(options):
                options.append((letter, value))
    given = dict(options)
    complaint = _complaint(server, given, resources)
    if complaint is not None:
        _say(f"qsub: {complaint[1]}")
        return complaint[0]
    number = _submit(server, given, resources, script)
    match server.knob("lost_response"):
        case "sleep":
            time.sleep(600)
        case "fail":
            _say("qsub: End of File")
            return 1
    print(f"{server.knob('says') or ''}{number}.{SERVER}")
    return 0


def _complaint(server: _Server, options: dict[str, str], resources: dict[str, str]) -> tuple[int, str] | None:
    """Exit code and message where PBS would refuse such a job."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+.-]{0,229}", options.get("N", "STDIN")):
        return 1, "illegal -N value"
    if not options.get("o", "x").isascii():
        return 1, "illegal -o value"
    if options.get("q", QUEUES[0]) not in QUEUES:
        return 170, "Unknown queue"
    chunks = {"ncpus", "mem", "ngpus", "mpiprocs", "ompthreads"} & resources.keys()
    if chunks and "select" in resources:
        name = min(chunks)
        return 197, f'"-lresource=" cannot be used with "select" or "place", resource is: {name}'
    limit = server.knob("full")
    if limit is not None:
        active = [number for number in server.numbers() if server.job(number)["job_state"] != "F"]
        if len(active) >= int(limit):
            return 46, "would exceed complex's per-user limit"
    return None


def _submit(server: _Server, options: dict[str, str], resources: dict[str, str], script: str) -> int:
    number = (server.numbers() or [0])[-1] + 1
    while True:
        with contextlib.suppress(FileExistsError):
            server.path(number, ".SC").touch(exist_ok=False)
            break
        number += 1
    name = options.get("N", "STDIN")
    server.path(number, ".SC").write_text(script)
    job = {
        "Job_Name": name,
        "Job_Owner": f"tester@{socket.gethostname()}",
        "job_state": "Q",
        "queue": options.get("q", QUEUES[0]),
        "server": SERVER,
        "Output_Path": f"{socket.gethostname()}:{Path.cwd() / options.get('o', f'{name}.o{number}')}",
        "Keep_Files": options.get("k", "n"),
        "Rerunable": "False" if options.get("r") == "n" else "True",
        "ctime": time.time(),
        "qtime": time.time(),
        "mtime": time.time(),
        "substate": 10,
        "Resource_List": resources,
        "Variable_List": {"PBS_O_WORKDIR": str(Path.cwd()), "PBS_O_PATH": os.environ["PATH"]}
        | dict(one.split("=", 1) for one in options.get("v", "").split(",") if one),
    }
    server.save(number, job)
    subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, "keep", str(number)],
        env={**os.environ, "FAKE_PBS": str(server.folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=server.path(number, ".keeper").open("w"),
        start_new_session=True,
    )
    return number


def _options(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Options of one letter with their values, and the words after them."""
    options, position = [], 0
    while position < len(words) and re.match(r"-[A-Za-z]", words[position]):
        letter, value = words[position][1], words[position][2:]
        if not value and letter not in "VzhI":
            position += 1
            value = words[position]
        options.append((letter, value))
        position += 1
    return options, words[position:]


def _words(line: str) -> list[str]:
    """The words of a directive line: no character is special between quotes, not even a backslash."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escapedquotes = True, "", ""
    return list(lexer)


def _keep(server: _Server, words: list[str]) -> int:
    """Run one job from its queue to its end, as server and node would."""
    number = int(words[0])
    job = server.job(number)
    if not _wait_in_queue(server, number, job):
        return _finish(server, number, job, None, "")
    comment = f"Job run at {time.strftime('%a %b %d at %H:%M')} on (fake01:ncpus=1)"
    job |= {"job_state": "R", "substate": 42, "stime": time.time(), "run_count": 1, "comment": comment}
    job |= {"exec_host": "fake01/0+fake02/0", "exec_vnode": "(fake01:ncpus=1)+(fake02:ncpus=1)"}
    server.save(number, job)
    target = Path(job["Output_Path"].partition(":")[2])
    late = server.knob("stage_out_seconds")
    direct = "d" in job["Keep_Files"] and late is None
    output = target if direct else server.path(number, ".OU")
    node_file = server.path(number, ".nodes")
    node_file.write_text("fake01\nfake02\n")
    environment = {name: os.environ[name] for name in ("HOME", "USER", "LANG") if name in os.environ} | {
        "PATH": job["Variable_List"]["PBS_O_PATH"],
        **job["Variable_List"],
        "PBS_JOBID": f"{number}.{SERVER}",
        "PBS_JOBNAME": job["Job_Name"],
        "PBS_NODEFILE": str(node_file),
        "PBS_QUEUE": job["queue"],
        "PBS_ENVIRONMENT": "PBS_BATCH",
    }
    with output.open("w") as file:
        process = subprocess.Popen(
            ["/bin/bash", str(server.path(number, ".SC"))],
            env=environment,
            cwd=Path.home(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    status, ending = _watch(server, number, job, process, output)
    _finish(server, number, job, status, f"{comment} and {ending}")
    if not direct:
        time.sleep(float(late or 0))
        target.write_bytes(output.read_bytes())
    return 0


def _wait_in_queue(server: _Server, number: int, job: JobFile) -> bool:
    """Whether the job may start now; False when it was deleted before."""
    while not server.path(number, ".delete").exists():
        held = server.knob("hold") is not None
        waits = held or time.time() - job["ctime"] < float(server.knob("queue_seconds") or 0)
        state = "H" if held else "Q"
        if job["job_state"] != state:
            job |= {"job_state": state, "substate": 20 if held else 10}
            server.save(number, job)
        if not waits:
            return True
        time.sleep(TICK_SECONDS)
    return False


def _watch(
    server: _Server, number: int, job: JobFile, process: subprocess.Popen[bytes], output: Path
) -> tuple[int, str]:
    """Wait for a job's end, end it where it is deleted or over its limit; its Exit_status and how it ended."""
    limit = _clock(job["Resource_List"].get("walltime", "9999:00:00"))
    while process.poll() is None:
        seconds = round(time.time() - job["stime"])
        if server.path(number, ".delete").exists():
            _kill(process)
            return 256 + signal.SIGTERM, "terminated"
        if seconds > limit:
            with output.open("a") as file:
                file.write(f"=>> PBS: job killed: walltime {seconds} exceeded limit {limit}\n")
            _kill(process)
            return -29, "exceeded resource walltime"
        time.sleep(TICK_SECONDS)
    _kill(process)
    code = process.returncode if process.returncode >= 0 else 256 - process.returncode
    return code, "failed" if code else "finished"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to all of a job, and SIGKILL to what is left after a while."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        limit = time.monotonic() + KILL_SECONDS
        with contextlib.suppress(ProcessLookupError):  # nobody is left
            os.killpg(process.pid, number)
            while time.monotonic() < limit:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(TICK_SECONDS)


def _finish(server: _Server, number: int, job: JobFile, status: int | None, comment: str) -> int:
    used = {"mem": "2048kb", "ncpus": 1, "walltime": "00:00:01"} if "stime" in job else None
    ended: JobFile = {"job_state": "F", "substate": 92 if status == 0 else 93, "mtime": time.time()}
    ended |= {"Exit_status": status, "comment": comment or None, "resources_used": used}
    scripted = json.loads(server.knob("ends") or "{}")
    job |= ended | scripted.get(job["Job_Name"], scripted.get("*", {}))
    server.save(number, {name: value for name, value in job.items() if value is not None})
    return 0


def _clock(text: str) -> int:
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def _qstat(server: _Server, words: list[str]) -> int:
    options, ids = _options([word for word in words if word not in ("-x", "-f")])
    form, finished_too = dict(options).get("F", "plain"), "-x" in words
    if finished_too and server.knob("no_history") is not None:
        _say("qstat: PBS is not configured to maintain job history")
        if form == "json":
            print(_json([]))
        return 0
    found, code = [], 0
    for job_id in ids:
        number = server.known(job_id)
        if number is None:
            _say(f"qstat: Unknown Job Id {job_id}")
            code = 15001 % 256
        elif server.job(number)["job_state"] == "F" and not finished_too:
            _say(f"qstat: {job_id} Job has finished, use -x or -H to obtain historical job information")
            code = 15139 % 256
        else:
            found.append((f"{number}.{SERVER}", _shown(server.job(number))))
    if form == "json":
        text = _json(found)
        print(
            text.replace('"server"', '"Priority": 007, "server"') if server.knob("invalid_json") is not None else text
        )
    else:
        for job_id, job in found:
            print(f"Job Id: {job_id}", *_fields(job), sep="|")
    return code


def _shown(job: JobFile) -> JobFile:
    """A job's attributes with its times as PBS shows them."""
    times = {name: time.ctime(job[name]) for name in ("ctime", "qtime", "mtime", "stime") if name in job}
    return job | times


def _json(jobs: list[tuple[str, JobFile]]) -> str:
    head: JobFile = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": SERVER}
    return json.dumps(head | ({"Jobs": dict(jobs)} if jobs else {}), indent=4)


def _fields(job: JobFile) -> list[str]:
    """The fields of a line of `-F dsv`, a bar in a value escaped; a variable list is one value."""
    fields = []
    for name, value in job.items():
        if name == "Variable_List":
            value = ",".join(f"{inner}={one}" for inner, one in value.items())
        pairs = (
            [(f"{name}.{inner}", one) for inner, one in value.items()] if isinstance(value, dict) else [(name, value)]
        )
        fields += [f"{one}={str(text).replace('|', chr(92) + '|')}" for one, text in pairs]
    return fields


def _qselect(server: _Server, words: list[str]) -> int:
    options, _ = _options([word for word in words if word != "-x"])
    if "-x" in words and server.knob("no_history") is not None:
        _say("qselect: PBS is not configured to maintain job history")
        return 0
    for number in server.numbers():
        job = server.job(number)
        if job["Job_Name"] == dict(options)["N"] and ("-x" in words or job["job_state"] != "F"):
            print(f"{number}.{SERVER}")
    return 0


def _qdel(server: _Server, words: list[str]) -> int:
    code = 0
    for job_id in words:
        number = server.known(job_id)
        if number is None:
            _say(f"qdel: Unknown Job Id {job_id}")
            code = 15001 % 256
        elif server.job(number)["job_state"] == "F":
            _say(f"qdel: Job has finished {job_id}")
            code = 15139 % 256
        else:
            server.path(number, ".delete").touch()
    return code


def main() -> int:
    """Be the command that the first argument names."""
    name, *words = sys.argv[1:]
    server = _Server(Path(os.environ["FAKE_PBS"]))
    if name == "keep":
        return _keep(server, words)
    server.log_call([name, *words])
    if name in (server.knob("refused") or "").split():
        _say("Connection refused")
        _say(f"{name}: cannot connect to server {SERVER} (errno=111)")
        return 111
    return {"qsub": _qsub, "qstat": _qstat, "qselect": _qselect, "qdel": _qdel}[name](server, words)


if __name__ == "__main__":
    sys.exit(main())

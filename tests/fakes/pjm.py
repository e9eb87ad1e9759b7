"""A fake of PJM for tests: pjsub, pjstat, pjdel and mpiexec that act on a state folder, and really run the scripts.

Nothing of Fujitsu's software is in here: it imitates what the manuals and public output say. The folder is named by the
environment variable FAKE_PJM; the four commands are made by `FakePjm`, the door for tests. There is no daemon: each job
is a process of its own that waits, runs `bash <copy of the script>` in a session of its own, and keeps the job's state.

Knobs, each settable at any time (`FakePjm.set`), with their defaults:

queue_seconds 0     how long a job is queued               run_lag_seconds 0   how long it is RNA and RNP before it runs
listing_seconds 0   how long a new job is in no listing    history_seconds 0   how long an ended one is in none
grace_seconds 10    from SIGXCPU or SIGTERM to SIGKILL     stats_seconds 0     how late the statistics are written
accept_limit None   most unfinished jobs; then 0072        notice ""           a wrapper's line before pjsub's own
loading False       pjstat says `Data loading...` first    header True         a listing of nothing has its header
resource_groups {}  name → [fewest nodes, most nodes, most seconds]; any where empty
ends {}             name pattern → how its jobs end: st, pc, ec, sn, reason (each optional), `runs` False for
                    a script that is never started, `statistics` a mapping of further items, or None for no file
waits {}            name pattern → [ST, reason] in which its jobs stay until the knob is taken away
faults {}           command → a list of faults, each used up by one call: rc, stdout, stderr, `sleep` seconds before
                    the answer, and `done` (True: the command does its work all the same, but its own words are lost)
"""

import contextlib
import fcntl
import fnmatch
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LOST_RESPONSE = {"done": True, "rc": 1, "stderr": "[ERR.] PJM 0091 pjsub Internal error: no response.\n"}
NO_DAEMON = {
    command: {"done": False, "rc": 1, "stderr": f"[ERR.] PJM {number} {command} PJM daemon is not present.\n"}
    for command, number in (("pjsub", "0090"), ("pjstat", "0290"), ("pjdel", "0190"))
}
_DEFAULTS: dict[str, Any] = {
    "queue_seconds": 0,
    "run_lag_seconds": 0,
    "listing_seconds": 0,
    "history_seconds": 0,
    "grace_seconds": 10,
    "stats_seconds": 0,
    "accept_limit": None,
    "notice": "",
    "loading": False,
    "header": True,
    "resource_groups": {},
    "ends": {},
    "waits": {},
    "faults": {},
}
_ENDED = ("EXT", "CCL", "RJT")
_HEADERS = {
    "jid": "JOB_ID",
    "jnam": "JOB_NAME",
    "jmdl": "MD",
    "st": "ST",
    "usr": "USER",
    "ec": "EC",
    "pc": "PC",
    "sn": "SN",
    "rscg": "RSC_GRP",
    "ermsg": "REASON",
    "nnumr": "NODE_REQUIRE",
}


class FakePjm:
    """A PJM of its own in a folder; `path` goes before PATH, and FAKE_PJM names the folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir(parents=True)
        (folder / "jobs").mkdir()
        for command in ("pjsub", "pjstat", "pjdel", "mpiexec"):
            words = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).resolve()), command])
            (self.path / command).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            (self.path / command).chmod(0o755)

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """`base` with which the commands are found."""
        return {**base, "PATH": f"{self.path}:{base['PATH']}", "FAKE_PJM": str(self.folder)}

    def set(self, **knobs: Any) -> None:
        """Turn knobs; the others stay as they are."""
        unknown = knobs.keys() - _DEFAULTS
        assert not unknown, f"no such knobs: {unknown}"
        with _locked(self.folder):
            _write(self.folder / "knobs.json", {**_knobs(self.folder), **knobs})

    def fail(self, command: str, *faults: Mapping[str, Any]) -> None:
        """The next calls of a command fail so, one after the other."""
        self.set(faults={**_knobs(self.folder)["faults"], command: list(faults)})

    def calls(self, command: str = "") -> list[list[str]]:
        """The words of all calls so far, of one command or of all."""
        try:
            calls = [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]
        except FileNotFoundError:
            return []
        return [words for words in calls if not command or words[0] == command]

    def jobs(self, name: str = "*") -> list[dict[str, Any]]:
        """All jobs ever made whose name matches, as they stand: id, name, st, pc, ec, sn, reason, options, ..."""
        return [job for job in _jobs(self.folder) if fnmatch.fnmatchcase(job["name"], name)]

    def close(self) -> None:
        """End everything that still runs."""
        for job in self.jobs():
            for process in (job["keeper"], job["group"]):
                with contextlib.suppress(ProcessLookupError):
                    if process:
                        os.killpg(process, signal.SIGKILL)


def main(words: list[str]) -> int:
    """One call of a command."""
    folder, command = Path(os.environ["FAKE_PJM"]), words[0]
    if command == "keep":
        return _keep(folder, words[1])
    if words[1:] == ["--version"]:
        print("a fake of PJM, made for tests")
        return 0
    with _locked(folder):
        with (folder / "calls.jsonl").open("a") as log:
            log.write(json.dumps(words) + "\n")
        knobs = _knobs(folder)
        fault = (knobs["faults"].get(command) or [None])[0]
        if fault is not None:
            knobs["faults"][command] = knobs["faults"][command][1:]
            _write(folder / "knobs.json", knobs)
        work = {"pjsub": _pjsub, "pjstat": _pjstat, "pjdel": _pjdel}[command]
        answer = (0, "", "") if fault is not None and not fault.get("done") else work(folder, knobs, words[1:])
    if fault is not None:
        time.sleep(fault.get("sleep", 0))
        answer = (fault.get("rc", 1), fault.get("stdout", ""), fault.get("stderr", ""))
    sys.stdout.write(answer[1])
    sys.stderr.write(answer[2])
    return answer[0]


_Answer = tuple[int, str, str]


class _Refused(Exception):
    """A message of a command, by number."""


def _error(command: str, number: str, text: str) -> str:
    return f"[ERR.] PJM {number} {command} {text}\n"


def _pjsub(folder: Path, knobs: dict[str, Any], words: list[str]) -> _Answer:
    try:
        job = _request(folder, knobs, words)
    except _Refused as refusal:
        return 1, knobs["notice"], _error("pjsub", *refusal.args)
    job["id"] = str(1 + max((int(other["id"]) for other in _jobs(folder)), default=34000000))
    (folder / "jobs" / f"{job['id']}.sh").write_text(job.pop("text"))
    _write(_path(folder, job["id"]), job)
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).resolve()), "keep", job["id"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "keepers.log").open("a"),
        start_new_session=True,
    )
    _write(_path(folder, job["id"]), {**job, "keeper": keeper.pid})
    notice = f"{knobs['notice']}\n" if knobs["notice"] else ""
    return 0, f"{notice}[INFO] PJM 0000 pjsub Job {job['id']} submitted.\n", ""


def _request(folder: Path, knobs: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """What a script and the words of the command line ask for; raises _Refused."""
    line, script = _options(words)
    if len(script) != 1:
        raise _Refused("0023", "Multiple script files specified.")
    try:
        text = Path(script[0]).read_text()
    except OSError as error:
        raise _Refused("0020", f"File open failed: {script[0]} ({error.errno}).") from None
    options: dict[str, Any] = {"-L": {}, "--mpi": {}}
    for found in (*_directives(text), *line):
        if found[0] in ("-L", "--mpi", "--rsc-list"):
            target = options["--mpi" if found[0] == "--mpi" else "-L"]
            target |= {part.partition("=")[0]: part.partition("=")[2] for part in found[1].split(",")}
        else:
            options[found[0]] = found[1]
    name = options.get("-N") or Path(script[0]).name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,62}", name):
        raise _Refused("0004", f"Invalid option argument: -N {name}.")
    _check(folder, knobs, options)
    return {
        "name": name,
        "options": options,
        "text": text,
        "directory": str(Path.cwd()),
        "path": os.environ["PATH"],
        "created": time.time(),
        "ended": None,
        "delete": None,
        "keeper": None,
        "group": None,
        **{"st": "ACC", "pc": "-", "ec": "-", "sn": "-", "reason": "-"},
    }


def _check(folder: Path, knobs: dict[str, Any], options: dict[str, Any]) -> None:
    """What PJM checks before it takes a job; raises _Refused."""
    if "-s" in options and "-S" in options:
        raise _Refused("0002", "Invalid combination: -s -S")
    nodes, elapse = _nodes(options), _elapse(options)
    most_ranks = nodes * int(options["--mpi"].get("max-proc-per-node", 48))
    if int(options["--mpi"].get("proc", nodes)) > most_ranks:
        raise _Refused("0002", "Invalid combination: proc and max-proc-per-node")
    groups, group = knobs["resource_groups"], options["-L"].get("rscgrp", "small")
    if groups and group not in groups:
        raise _Refused("0058", f"rscgrp={group} does not exist.")
    if groups:
        fewest, most, seconds = groups[group]
        if nodes < fewest:
            raise _Refused("0054", f"node={nodes} is less than the lower limit ({fewest}).")
        for item, value, limit in (("node", nodes, most), ("elapse", elapse, seconds)):
            if value > limit:
                raise _Refused("0057", f"{item}={value} is greater than the upper limit ({limit}).")
    limit = knobs["accept_limit"]
    if limit is not None and sum(job["st"] not in _ENDED for job in _jobs(folder)) >= limit:
        raise _Refused("0072", "Job exceeded the accept limit: ru-accept.")


def _directives(text: str) -> list[tuple[str, str]]:
    """The options of the #PJM lines at the head of a script: what comes after the first command is not read."""
    words: list[str] = []
    count = 0
    for line in text.splitlines():
        if line.startswith("#PJM"):
            count += 1
            words += shlex.split(line.removeprefix("#PJM"), comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    if count > 64:
        raise _Refused("0024", "Too many arguments in script file.")
    return _options(words)[0]


def _options(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Options with their values, and what is left."""
    flags = {"-j", "-s", "-S", "-X", "--norestart", "--restart", "--no-check-directory"}
    options, left, words = [], [], list(words)
    while words:
        word = words.pop(0)
        if word.startswith("-") and word in flags:
            options.append((word, ""))
        elif word.startswith("-"):
            if not words:
                raise _Refused("0001", f"Unknown option or no option argument: {word}.")
            options.append((word, words.pop(0)))
        else:
            left.append(word)
    return options, left


def _nodes(options: dict[str, Any]) -> int:
    count = 1
    for side in options["-L"].get("node", "1").split(":")[0].split("x"):
        count *= int(side)
    return count


def _elapse(options: dict[str, Any]) -> int:
    seconds = 0
    for part in options["-L"].get("elapse", "60").split(":"):
        seconds = seconds * 60 + int(part)
    return seconds


def _pjstat(folder: Path, knobs: dict[str, Any], words: list[str]) -> _Answer:
    history, items, names, asked = False, list(_HEADERS), None, []
    loading = "[INFO] PJM 0281 pjstat Data loading...\n...\n" if knobs["loading"] else ""
    if "-v" in words and ("-s" in words or "-S" in words):
        return 1, "", _error("pjstat", "0202", "Invalid combination of options: -v and -s.")
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    while words:
        word = words.pop(0)
        if word == "-H":
            history = True
            words = words[1:] if words and words[0].startswith("day=") else words
        elif word == "--choose":
            items = [item for item in words.pop(0).split(",") if item in _HEADERS]
        elif word == "--filter":
            names = words.pop(0).removeprefix("jnam=").split("+")
        elif not word.startswith("-"):
            asked.append(word)
    rows = []
    for job in _jobs(folder):
        chosen = (not asked or job["id"] in asked) and (names is None or _filtered(job["name"], names))
        if chosen and _is_listed(job, history, knobs):
            values = {
                "jid": job["id"],
                "jnam": job["name"],
                "jmdl": "NM",
                "usr": "user1",
                "rscg": job["options"]["-L"].get("rscgrp", "small"),
                "nnumr": str(_nodes(job["options"])),
                "ermsg": job["reason"],
            }
            rows.append(",".join(["", *(str(values.get(item, job.get(item))) for item in items)]))
    header = [",".join(["H", *(_HEADERS[item] for item in items)])] if rows or knobs["header"] else []
    return 0, loading + "".join(f"{line}\n" for line in (*header, *rows)), ""


def _filtered(name: str, patterns: list[str]) -> bool:
    """Whether a name matches one of a filter's: `*` stands for any text, `.` for one character."""
    return any(re.fullmatch(re.escape(one).replace(r"\*", ".*").replace(r"\.", "."), name) for one in patterns)


def _is_listed(job: dict[str, Any], history: bool, knobs: dict[str, Any]) -> bool:
    now = time.time()
    if job["ended"] is None:
        return not history and now - job["created"] >= knobs["listing_seconds"]
    return history and now - job["ended"] >= knobs["history_seconds"]


def _pjdel(folder: Path, knobs: dict[str, Any], words: list[str]) -> _Answer:
    said, complaints = "", ""
    for job_id in words:
        try:
            job = json.loads(_path(folder, job_id).read_text())
        except FileNotFoundError:
            complaints += _error("pjdel", "0112", f"Job {job_id} does not exist.")
            continue
        if job["ended"] is not None or job["st"] in ("RNP", "RNE", "RNO"):
            text = f"Job {job_id} is not in the state that pjdel can be accepted."
            complaints += _error("pjdel", "0113", text)
        elif job["delete"] is not None:
            said += f"[INFO] PJM 0119 pjdel Already accepted job {job_id}.\n"
        else:
            _write(_path(folder, job_id), {**job, "delete": time.time()})
            said += f"[INFO] PJM 0100 pjdel Accepted job {job_id}.\n"
    return int(bool(complaints)), said, complaints


def _keep(folder: Path, job_id: str) -> int:
    """One job from its acceptance to its end."""
    for state in ("ACC", "QUE"):
        _change(folder, job_id, st=state)
        if not _queued(folder, job_id, _knobs(folder)["queue_seconds"] / 2):
            state = "RJT" if state == "ACC" else "CCL"
            _finish(folder, job_id, {"st": state, "pc": 1})
            return 0
    end = _matching(_knobs(folder)["ends"], _job(folder, job_id)["name"]) or {}
    if end.get("runs", True):
        for state in ("RNA", "RNP"):
            _change(folder, job_id, st=state)
            time.sleep(_knobs(folder)["run_lag_seconds"] / 2)
        end = {**_run(folder, job_id), **end}
    if end.get("st") == "ERR":  # stays listed until it is deleted
        _change(folder, job_id, **{name: end[name] for name in ("st", "pc", "ec", "sn", "reason") if name in end})
        while _job(folder, job_id)["delete"] is None:
            time.sleep(0.02)
        end = {**end, "st": "CCL"}
    _finish(folder, job_id, end)
    return 0


def _queued(folder: Path, job_id: str, seconds: float) -> bool:
    """Wait in the queue; False when the job is deleted there."""
    limit = time.time() + seconds
    while True:
        job = _job(folder, job_id)
        if job["delete"] is not None:
            return False
        wait = _matching(_knobs(folder)["waits"], job["name"])
        if wait:
            _change(folder, job_id, st=wait[0], reason=wait[1])
        elif time.time() >= limit:
            if job["reason"] != "-":
                _change(folder, job_id, st="QUE", reason="-")
            return True
        time.sleep(0.02)


def _run(folder: Path, job_id: str) -> dict[str, Any]:
    """Run the script; gives how it ended."""
    job = _job(folder, job_id)
    directory, grace = Path(job["directory"]), _knobs(folder)["grace_seconds"]
    limit = time.time() + _elapse(job["options"])
    output = directory / _named(job["options"].get("-o", "%n.%j.out"), job)
    with output.open("ab") as stream:
        script = subprocess.Popen(
            ["bash", str(folder / "jobs" / f"{job_id}.sh")],
            cwd=directory,
            env=_job_environment(folder, job),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _change(folder, job_id, st="RUN", group=script.pid, started=time.time())
        end: dict[str, Any] = {"st": "EXT", "pc": 0, "sn": 0}
        while script.poll() is None:
            deleted = _job(folder, job_id)["delete"]
            if time.time() >= limit or deleted:
                over = {"st": "EXT", "pc": 11, "sn": 24, "reason": "ELAPSE LIMIT EXC"}
                end = {"st": "CCL", "pc": 1, "sn": 15} if deleted else over
                _end_group(script, signal.SIGTERM if deleted else signal.SIGXCPU, grace)
            time.sleep(0.02)
        _change(folder, job_id, st="RNO")
        if end["pc"] == 11:
            text = f"[ERR.] PJM 7004 Job {job_id} was canceled. The job exceeded its elapse time limit.\n"
            stream.write(text.encode())
    if script.returncode < 0:
        return {**end, "ec": 0, "sn": -script.returncode}
    return {**end, "ec": script.returncode}


def _job_environment(folder: Path, job: dict[str, Any]) -> dict[str, str]:
    """What a job sees: nothing of the shell it was submitted from but what -x hands on."""
    given = dict(part.split("=", 1) for part in job["options"].get("-x", "").split(",") if "=" in part)
    nodes = _nodes(job["options"])
    node_file = folder / f"{job['id']}.nodes"
    node_file.write_text("".join(f"192.0.2.{number}\n" for number in range(1, nodes + 1)))
    return {
        "PATH": job["path"],
        "HOME": os.environ.get("HOME", "/"),
        "FAKE_PJM": str(folder),
        "PJM_ENVIRONMENT": "BATCH",
        "PJM_JOBID": job["id"],
        "PJM_JOBNAME": job["name"],
        "PJM_O_WORKDIR": job["directory"],
        "PJM_O_NODEINF": str(node_file),
        "PJM_RSCGRP": job["options"]["-L"].get("rscgrp", "small"),
        "PJM_NODE": str(nodes),
        "PJM_MPI_PROC": job["options"]["--mpi"].get("proc", str(nodes)),
        "PJM_ELAPSE_LIMIT": str(_elapse(job["options"])),
        **given,
    }


def _end_group(script: "subprocess.Popen[bytes]", number: int, grace: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(script.pid, number)
        try:
            script.wait(grace)
        except subprocess.TimeoutExpired:
            os.killpg(script.pid, signal.SIGKILL)


def _finish(folder: Path, job_id: str, end: Mapping[str, Any]) -> None:
    """Take a job off the listing, and write its statistics."""
    values = {"st": "EXT", "pc": 0, "ec": "-", "sn": "-", "reason": "-", **end}
    items = values.pop("statistics", {})
    values.pop("runs", None)
    job = _change(folder, job_id, **values, ended=time.time())
    if items is not None and {"-s", "-S"} & job["options"].keys():
        time.sleep(_knobs(folder)["stats_seconds"])
        path = Path(job["directory"]) / _named(job["options"].get("--spath", "%n.%j.stats"), job)
        path.with_name(f".{path.name}").write_text(statistics(job, items))
        path.with_name(f".{path.name}").rename(path)


def statistics(job: Mapping[str, Any], further: Mapping[str, str]) -> str:
    """The statistics of a job as PJM writes them; `further` items go over those made up here."""
    items = {
        "JOB ID": job["id"],
        "JOB NAME": job["name"],
        "RETRY NUM": "0",
        "STATE": job["st"],
        "JOB START DATE": _date(job.get("started")),
        "JOB END DATE": _date(job["ended"] if job.get("started") else None),
        "EXIT CODE": job["ec"],
        "SIGNAL NO": job["sn"],
        "PJM CODE": job["pc"],
        "REASON": job["reason"],
        "MAX MEMORY SIZE (USE)": "95.4 MiB (100000000)",
        "NODE NUM (ALLOC)": str(_nodes(job["options"])),
        "AVG POWER CONSUMPTION OF NODE (IDEAL)": "21.394424",
        "ENERGY CONSUMPTION OF NODE (IDEAL)": "0.012945",
        "AVG POWER CONSUMPTION OF NODE (MEASURED)": "25.000000",
        "ENERGY CONSUMPTION OF NODE (MEASURED)": "0.015000",
        "POWER CAPPING DATE": "-",
        **further,
    }
    lines = [f" {name:<26}: {value}\n" for name, value in items.items()]
    return "Job Statistical Information\n\n" + "".join(lines)


def _date(seconds: float | None) -> str:
    return "-" if seconds is None else time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(seconds))


def _mpiexec(words: list[str]) -> int:
    """Start ranks on this machine, and give each a file `<-std-proc>.1.<rank>`; without it, the default tree."""
    options: dict[str, str] = {}
    while words[0] in ("-n", "-std-proc"):
        options[words[0]] = words[1]
        words = words[2:]
    form = options.get("-std-proc", f"output.{os.environ['PJM_JOBID']}/%/1000r/1/stdout")
    started, highest = [], 0
    for rank in range(int(options.get("-n", os.environ["PJM_MPI_PROC"]))):
        path = Path(f"{form.replace('%/1000r', str(rank // 1000))}.1.{rank}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            environment = {**os.environ, "PMIX_RANK": str(rank)}
            started.append((rank, subprocess.Popen(words, env=environment, stdout=stream, stderr=subprocess.STDOUT)))
    for rank, process in started:
        status = process.wait()
        highest = max(highest, 128 - status if status < 0 else status)
        if status < 0:
            text = f"[WARN] PLE 0610 plexec The process terminated with the signal.(rank={rank})(nid=0x01010010)"
            print(f"{text}(sig={-status})", file=sys.stderr)
    return highest


def _named(form: str, job: Mapping[str, Any]) -> str:
    return form.replace("%n", job["name"]).replace("%j", job["id"])


def _matching(patterns: Mapping[str, Any], name: str) -> Any:
    return next((value for pattern, value in patterns.items() if fnmatch.fnmatchcase(name, pattern)), None)


def _path(folder: Path, job_id: str) -> Path:
    return folder / "jobs" / f"{job_id}.json"


def _job(folder: Path, job_id: str) -> dict[str, Any]:
    return json.loads(_path(folder, job_id).read_text())


def _jobs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "jobs").glob("*.json"))]


def _change(folder: Path, job_id: str, **values: Any) -> dict[str, Any]:
    with _locked(folder):
        job = {**_job(folder, job_id), **values}
        _write(_path(folder, job_id), job)
    return job


def _knobs(folder: Path) -> dict[str, Any]:
    try:
        return {**_DEFAULTS, **json.loads((folder / "knobs.json").read_text())}
    except FileNotFoundError:
        return dict(_DEFAULTS)


def _write(path: Path, value: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value))
    temporary.rename(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(_mpiexec(sys.argv[2:]) if sys.argv[1] == "mpiexec" else main(sys.argv[1:]))

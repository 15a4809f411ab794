"""Questions that are answered later: kept on disk, so that every server process knows them and a restart loses none.

::

    <home>/jobs/lock                 held while a record changes or a job is made
    <home>/jobs/new-<id>/            a job that is being made
    <home>/jobs/<id>/job.json        the record; replaced atomically
    <home>/jobs/<id>/held            held by the process that works on the job, until it is done
    <home>/jobs/<id>/answer, error.json

A job that is under way and held by nobody belonged to a process that has ended: whoever looks at it next says so.
A job that is being made while nobody holds the lock did so, too: whoever looks at the list next removes it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from threading import Semaphore, Thread
from uuid import UUID, uuid4

import orjson

from gisservice.analysis.inputs import Question
from gisservice.errors import CatalogError, GISServiceError, JobNotFound, Overloaded, ResultNotReady
from gisservice.web.computing import ANSWER, ERROR, Computer, raised
from gisservice.web.gates import Gate

JOBS_MAX = 100
"""Jobs that are kept; those finished longest ago are let go first."""

BYTES_MAX = 500_000_000
"""Bytes of answers that are kept, likewise."""

WORKED_ON_AT_ONCE = 1
"""Jobs that a server process works on at a time."""

WAITING_MAX = 10
"""Jobs that a server process has under way, those that wait included."""

RESTARTED = "The server was stopped while this job was under way; ask for it again."

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_DRAFT = "new-"
_RECORD, _HELD = "job.json", "held"


class Status(StrEnum):
    """Where a job is (OGC API Processes 1, 7.12)."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    DISMISSED = "dismissed"


UNFINISHED = (Status.ACCEPTED, Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """The record of a job; ``response`` is how its result was asked for: ``raw`` or ``document``."""

    id: str
    process: str
    status: Status
    message: str
    response: str
    created: datetime
    updated: datetime
    started: datetime | None = None
    finished: datetime | None = None
    bytes: int = 0

    @property
    def listed_id(self) -> str:
        """The id by which everybody may see how it stands, and nobody can tell :attr:`id`, which only its asker has."""
        digest = blake2b(self.id.encode(), digest_size=16, person=b"job in the list").digest()
        return str(UUID(bytes=digest, version=4))

    @property
    def is_under_way(self) -> bool:
        """Whether it is neither finished nor dismissed."""
        return self.status in UNFINISHED

    @property
    def seconds(self) -> float:
        """How long it has been worked on, or was."""
        if self.started is None:
            return 0.0
        return ((self.finished or datetime.now(UTC)) - self.started).total_seconds()


class Jobs:
    """The jobs of a home folder. One per server process; safe for threads and beside other processes."""

    def __init__(self, home: Path, computer: Computer) -> None:
        self._folder = Path(home) / "jobs"
        self._computer = computer
        self._places = Semaphore(WORKED_ON_AT_ONCE)
        self._gate = Gate("jobs", WAITING_MAX)

    def start(self, asked: Question, response: str) -> Job:
        """Accept a job and begin it in a thread. Raises :class:`Overloaded` when too many are under way."""
        self._gate.enter()
        try:
            self._make_room()
            now = datetime.now(UTC)
            job = Job(str(uuid4()), asked.operation.name, Status.ACCEPTED, "Waiting for its turn.", response, now, now)
            held = self._place(job)
        except OSError as exc:
            self._gate.leave()
            raise CatalogError(f"A job cannot be kept: {exc.strerror}.") from exc
        except BaseException:
            self._gate.leave()
            raise
        Thread(target=self._run, args=(job.id, asked, held), daemon=True).start()
        return job

    def job(self, job_id: str) -> Job:
        """Return a job's record. Raises :class:`JobNotFound`."""
        if not _ID.fullmatch(job_id):
            raise JobNotFound(f"No job has the id {job_id[:80]!r}, or it is no longer kept.")
        found = self._read(job_id)
        if found.is_under_way and not self._is_held(job_id):
            found = self._change(job_id, _abandoned)
        return found

    def seen(self, job_id: str) -> tuple[Job, bool]:
        """Return a job by its id, or by its id in the list, and whether it was its own. Raises :class:`JobNotFound`."""
        try:
            return self.job(job_id), True
        except JobNotFound:
            for job in self.jobs():
                if job.listed_id == job_id:
                    return job, False
            raise

    def jobs(self) -> list[Job]:
        """Return all jobs that are kept, the latest first."""
        found = []
        for job_id in self._ids():
            with suppress(JobNotFound):  # let go in the meantime
                found.append(self.job(job_id))
        return sorted(found, key=lambda job: (job.created, job.id), reverse=True)

    def result(self, job_id: str) -> bytes:
        """Return the answer of a job.

        Raises what the operation raised, :class:`ResultNotReady` while it is under way or dismissed, JobNotFound.
        """
        job = self.job(job_id)
        if job.status is Status.FAILED:
            raise self._error(job)
        if job.status is not Status.SUCCESSFUL:
            raise ResultNotReady(f"The job has no result: it is {job.status}. {job.message}")
        try:
            return (self._folder / job_id / ANSWER).read_bytes()
        except FileNotFoundError as exc:
            raise JobNotFound(f"The result of job {job_id!r} is no longer kept.") from exc

    def dismiss(self, job_id: str) -> Job:
        """Stop a job that is under way and let its result go; its record stays."""
        self.job(job_id)
        found = self._change(job_id, _dismissed)
        with suppress(OSError):
            (self._folder / job_id / ANSWER).unlink()
        return found

    # In a thread of its own

    def _run(self, job_id: str, asked: Question, held: int) -> None:
        try:
            with self._places:
                if self._change(job_id, _begun).status is Status.RUNNING:
                    self._work(job_id, asked)
        except JobNotFound:
            pass  # let go while it waited
        finally:
            os.close(held)
            self._gate.leave()

    def _work(self, job_id: str, asked: Question) -> None:
        folder = self._folder / job_id

        def called_off() -> bool:
            try:
                return self._read(job_id).status is Status.DISMISSED
            except JobNotFound:
                return True

        try:
            size = self._computer.run(asked, folder, self._computer.as_job, called_off).stat().st_size
        except Exception as error:
            self._fail(job_id, error)
            return
        done = self._change(job_id, lambda job: _succeeded(job, size))
        if done.status is not Status.SUCCESSFUL:
            with suppress(OSError):
                (folder / ANSWER).unlink()

    def _fail(self, job_id: str, error: Exception) -> None:
        known = isinstance(error, GISServiceError)
        told = str(error) if known else "Something went wrong on our side."
        described = {"type": type(error).__name__ if known else "", "message": str(error)}
        with suppress(OSError):
            (self._folder / job_id / ERROR).write_bytes(orjson.dumps(described))
        self._change(job_id, lambda job: _failed(job, told))

    def _error(self, job: Job) -> Exception:
        try:
            return raised(orjson.loads((self._folder / job.id / ERROR).read_bytes()))
        except (OSError, orjson.JSONDecodeError):
            return ResultNotReady(f"The job has no result: it failed. {job.message}")

    # On disk

    def _place(self, job: Job) -> int:
        """Write a new job, whole and held, and return what holds it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"{_DRAFT}{job.id}"
        with self._locked():
            draft.mkdir()
            held = os.open(draft / _HELD, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
            (draft / _RECORD).write_bytes(_written(job))
            draft.rename(self._folder / job.id)
        return held

    def _read(self, job_id: str) -> Job:
        try:
            return _parsed(orjson.loads((self._folder / job_id / _RECORD).read_bytes()))
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
            raise JobNotFound(f"No job has the id {job_id!r}, or it is no longer kept.") from exc

    def _change(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        with self._locked():
            job = self._read(job_id)
            changed = change(job)
            if changed is not job:
                path = self._folder / job_id / _RECORD
                part = path.with_suffix(".part")
                part.write_bytes(_written(changed))
                part.replace(path)
            return changed

    def _make_room(self) -> None:
        """Let the jobs go that were finished longest ago, until there is room for one more."""
        jobs = self.jobs()
        done = sorted((job for job in jobs if not job.is_under_way), key=lambda job: job.updated)
        count, size = len(jobs), sum(job.bytes for job in jobs)
        for job in done:
            if count < JOBS_MAX and size <= BYTES_MAX:
                break
            shutil.rmtree(self._folder / job.id, ignore_errors=True)
            count, size = count - 1, size - job.bytes
        if count >= JOBS_MAX:
            raise Overloaded("Too many jobs are under way at once; ask again in a moment.")

    def _ids(self) -> list[str]:
        names = self._names()
        if any(name.startswith(_DRAFT) for name in names):
            self._remove_drafts()
        return [name for name in names if _ID.fullmatch(name)]

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _remove_drafts(self) -> None:
        """Remove what processes left that were killed while they made a job."""
        with suppress(OSError), self._locked():  # so nobody is making one
            for name in self._names():
                if name.startswith(_DRAFT):
                    shutil.rmtree(self._folder / name, ignore_errors=True)

    def _is_held(self, job_id: str) -> bool:
        try:
            file = os.open(self._folder / job_id / _HELD, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    @contextmanager
    def _locked(self) -> Iterator[None]:
        file = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def _begun(job: Job) -> Job:
    if job.status is not Status.ACCEPTED:
        return job
    now = datetime.now(UTC)
    return replace(job, status=Status.RUNNING, message="Under way.", started=now, updated=now)


def _succeeded(job: Job, size: int) -> Job:
    if not job.is_under_way:
        return job
    now = datetime.now(UTC)
    return replace(job, status=Status.SUCCESSFUL, message="Done.", finished=now, updated=now, bytes=size)


def _failed(job: Job, message: str) -> Job:
    if not job.is_under_way:
        return job
    now = datetime.now(UTC)
    return replace(job, status=Status.FAILED, message=message, finished=now, updated=now)


def _abandoned(job: Job) -> Job:
    return _failed(job, RESTARTED)


def _dismissed(job: Job) -> Job:
    now = datetime.now(UTC)
    message = "Dismissed; its result is gone."
    return replace(job, status=Status.DISMISSED, message=message, finished=job.finished or now, updated=now, bytes=0)


def _written(job: Job) -> bytes:
    return orjson.dumps(asdict(job), option=orjson.OPT_UTC_Z)


def _parsed(record: dict[str, object]) -> Job:
    times = {
        name: None if (text := record[name]) is None else datetime.fromisoformat(str(text))
        for name in ("created", "updated", "started", "finished")
    }
    return Job(**{**record, **times, "status": Status(str(record["status"]))})  # type: ignore[arg-type]

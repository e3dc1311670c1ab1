"""The verdict of one poll: a pure function of the answers that were gathered.

A COMPLETED job is only confirmed by its object, so its verdict needs the volume, the file and S3's answer. The verdict
of every other state needs the job alone.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from export_monitor.domain.checks import CheckInput, missing_object_result, skip_all, verify
from export_monitor.domain.content.eligibility import OFF, OTHERS_FIRST, UNFINISHED, ContentPolicy
from export_monitor.domain.content.formats import Unverifiable
from export_monitor.domain.content.results import ContentVerdict
from export_monitor.domain.content.target import ContentTarget
from export_monitor.domain.json_values import as_int, short_text
from export_monitor.domain.model import (
    Denial,
    Denied,
    ExportJob,
    FileAnswer,
    JobAnswer,
    ObjectAnswer,
    ObjectForbidden,
    ObjectNotFound,
    SourceFile,
    State,
    StoredObject,
    Unavailable,
    Volume,
    VolumeAnswer,
)
from export_monitor.domain.object_location import is_on_amazon_s3, is_volume_name
from export_monitor.domain.verdicts import (
    Completed,
    Evidence,
    Failed,
    Failing,
    Failure,
    Reason,
    Undetermined,
    Unfinished,
    Verdict,
)

# Unavailable while the content is being verified.
ContentAnswer: TypeAlias = ContentVerdict | Unverifiable | Unavailable


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answers about one export in one poll; None for what was not requested."""

    job: JobAnswer
    volume: VolumeAnswer | None = None
    file: FileAnswer | None = None
    object: ObjectAnswer | None = None
    content: ContentAnswer = OFF


def file_to_read(job: ExportJob, *, is_overdue: bool) -> str | None:
    """The id of the source file, if it must be read: the watch is about to end and the job lacks the file's size."""
    ends = is_overdue or job.state in (State.COMPLETED, State.FAILED)
    known = job.result is not None and job.result.size is not None
    return job.file_id if ends and not known else None


def needs_object(job: ExportJob) -> bool:
    """Whether the object must be inspected: the job says that it exists."""
    return job.state == State.COMPLETED


def has_valid_volume_name(name: str | None) -> bool:
    """Whether a job names a volume that can be requested from the API."""
    return name is not None and is_volume_name(name)


def content_to_verify(answers: Snapshot, now: float, policy: ContentPolicy) -> ContentTarget | Unverifiable:
    """The version of an object whose content is to be verified; or the reason why none is."""
    verdict, evidence = assess(answers, now)
    if not isinstance(verdict, Completed) or evidence.object is None:
        return OTHERS_FIRST
    return policy.target(evidence.object)


def without_unfinished_content(answers: Snapshot) -> Snapshot:
    """The answers at the final deadline of a watch, which waits for no content check any longer."""
    return replace(answers, content=UNFINISHED) if isinstance(answers.content, Unavailable) else answers


def assess(answers: Snapshot, now: float) -> tuple[Verdict, Evidence]:
    """Judge an export by the answers. The same answers at the same time give the same verdict."""
    job = answers.job
    if isinstance(job, Unavailable):
        return Undetermined(job), Evidence()
    if isinstance(job, Denied):
        return Failing(_denied_job(job)), Evidence()
    evidence = Evidence(job=job, file=_file(job, answers.file))
    match job.state:
        case State.COMPLETED:
            return _assess_completed(job, answers, evidence, now)
        case State.FAILED if _is_not_attempted(answers.file):
            return Undetermined(answers.file), evidence  # type: ignore[arg-type] # _is_not_attempted has checked the type
        case State.FAILED:
            return Failed(_failed_job(job)), evidence
        case _:
            return Unfinished(job.state), evidence


def _assess_completed(job: ExportJob, answers: Snapshot, evidence: Evidence, now: float) -> tuple[Verdict, Evidence]:
    volume = answers.volume
    if isinstance(volume, Unavailable):
        return Undetermined(volume), evidence
    if not isinstance(volume, Volume):
        return Failing(_no_volume(job, volume)), evidence
    evidence = replace(evidence, volume=volume)
    if not is_on_amazon_s3(volume):
        skipped = skip_all("the volume is not on Amazon S3")
        return Completed(), replace(evidence, verification=skipped)
    match answers.object:
        case StoredObject() as found:
            if isinstance(answers.file, Unavailable):
                return Undetermined(answers.file), replace(evidence, object=found)
            return _assess_object(job, found, answers.content, evidence, now)
        case ObjectNotFound() as missing:
            failure = Failure(Reason.OBJECT_MISSING, _missing(missing))
            return Failing(failure), replace(evidence, verification=missing_object_result())
        case ObjectForbidden() as forbidden:
            return Failing(Failure(Reason.OBJECT_FORBIDDEN, forbidden.message)), evidence
        case Unavailable() as unavailable:
            return Undetermined(unavailable), evidence
        case _:
            return Undetermined(Unavailable("the object was not read")), evidence


def _assess_object(
    job: ExportJob, found: StoredObject, content: ContentAnswer, evidence: Evidence, now: float
) -> tuple[Verdict, Evidence]:
    known = OTHERS_FIRST if isinstance(content, Unavailable) else content
    verification = verify(CheckInput(job, found, evidence.file, now, known))
    evidence = replace(evidence, object=found, verification=verification)
    if not verification.failed:
        return (Undetermined(content) if isinstance(content, Unavailable) else Completed()), evidence
    names = ", ".join(check.name for check in verification.failed)
    message = f"The object failed these checks: {names}."
    return Failing(Failure(Reason.OBJECT_MISMATCH, message)), evidence


def _file(job: ExportJob, answer: FileAnswer | None) -> SourceFile | None:
    return answer if isinstance(answer, SourceFile) else job.result


def _is_not_attempted(answer: FileAnswer | None) -> bool:
    return isinstance(answer, Unavailable) and answer.not_attempted


def _denied_job(answer: Denied) -> Failure:
    if answer.denial is Denial.NOT_FOUND:
        return _denied(Reason.EXPORT_NOT_FOUND, "The API has no such export", answer)
    return _denied(Reason.EXPORT_FORBIDDEN, "The API denies access to this export", answer)


def _denied(reason: Reason, what: str, answer: Denied) -> Failure:
    return Failure(reason, f"{what}: {answer.message}", answer.code, answer.status, answer.more_info)


def _failed_job(job: ExportJob) -> Failure:
    error = job.error
    message = error.get("message")
    return Failure(
        reason=Reason.EXPORT_FAILED,
        message=message if isinstance(message, str) and message else "The platform gave no message.",
        code=as_int(error.get("code")),
        status=as_int(error.get("status")),
        more_info=short_text(error.get("more_info")),
    )


def _no_volume(job: ExportJob, answer: Denied | None) -> Failure:
    if isinstance(answer, Denied):
        what = "has no volume" if answer.denial is Denial.NOT_FOUND else "denies access to the volume"
        return _denied(Reason.VOLUME_UNAVAILABLE, f"The API {what} {job.volume}", answer)
    return Failure(Reason.VOLUME_UNAVAILABLE, f"The job's volume, {job.volume!r:.100}, is not a valid volume name.")


def _missing(missing: ObjectNotFound) -> str:
    keys = " or ".join(f"s3://{missing.bucket}/{key}" for key in missing.keys) or f"s3://{missing.bucket}/"
    return f"The export is COMPLETED, but there is no object at {keys}."

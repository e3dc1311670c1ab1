"""Which files to export: those of a folder, of a list, or the outputs of a task."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from journal import PER_REQUEST
from sevenbridges.models.compound.error import Error

Files = Iterator[tuple[str, str]]  # each file's id, and its path below --to


def files_in(api: Any, project: str, folder: str) -> Files:
    """Every file below a folder of a project; an empty name is its top level."""
    where = {"project": project}
    for name in filter(None, folder.split("/")):
        found = [one for one in _listed(api, where) if one.is_folder() and one.name == name]
        if not found:
            sys.exit(f"There is no folder {name} in the path {project}/{folder}.")
        where = {"parent": found[0].id}
    yield from _below(api, where, "")


def _below(api: Any, where: dict[str, str], path: str) -> Files:
    for one in _listed(api, where):
        if one.is_folder():
            yield from _below(api, {"parent": one.id}, f"{path}{one.name}/")
        else:
            yield one.id, path + one.name


def _listed(api: Any, where: dict[str, str]) -> Iterator[Any]:
    return api.files.query(**where, limit=100).all()  # type: ignore[no-any-return]


def files_of_list(api: Any, path: Path) -> Files:
    """The files of a list; a file without a location gets its name as its path."""
    lines = [line.partition("\t") for line in path.read_text().splitlines() if line.strip()]
    names = _names(api, [file_id.strip() for file_id, _, location in lines if not location])
    for file_id, _, location in lines:
        yield file_id.strip(), location or names[file_id.strip()]


def files_of_task(api: Any, task_id: str) -> Files:
    """The output files of a task, those in lists, records and directories and secondary files too, each once."""
    task = api.tasks.get(task_id)
    if task.batch:
        sys.exit(f"The task {task_id} is a batch: export the outputs of its child tasks.")
    if task.status != "COMPLETED":
        sys.exit(f"The task {task_id} is {task.status}, so its outputs are not complete.")
    outputs = dict(_outputs(list(task.outputs.values())))
    yield from _names(api, [one for one, kind in outputs.items() if kind == "file"]).items()
    for folder_id in [one for one, kind in outputs.items() if kind == "directory"]:
        yield from _below(api, {"parent": folder_id}, f"{api.files.get(folder_id).name}/")


def _outputs(value: Any) -> Iterator[tuple[str, str]]:
    """The id and class of each file and directory in the value of an output, as the API shows it."""
    match value:
        case list():
            for one in value:
                yield from _outputs(one)
        case {"class": str(kind), "path": str(file_id)}:
            yield file_id, kind.lower()
            yield from _outputs(value.get("secondaryFiles"))
        case dict():
            yield from _outputs(list(value.values()))


def _names(api: Any, file_ids: list[str]) -> dict[str, str]:
    """The names of files by id. Exits and names those that the API does not give."""
    found = dict(details(api, list(dict.fromkeys(file_ids))))
    unknown = [
        f"cannot be exported: {file_id}: {one.message} (code {one.code})"
        for file_id, one in found.items()
        if isinstance(one, Error)
    ]
    if unknown:
        sys.exit("\n".join([*unknown, "Nothing was started."]))
    return {file_id: one.name for file_id, one in found.items()}


def details(api: Any, file_ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Each file, or the API's error, with its id; 100 with each request."""
    for first in range(0, len(file_ids), PER_REQUEST):
        hundred = file_ids[first : first + PER_REQUEST]
        answer = api.files.bulk_get(hundred)
        files = {one.resource.id: one.resource for one in answer if one.resource is not None}
        errors = iter([one.error for one in answer if one.error is not None])
        for file_id in hundred:
            yield file_id, files[file_id] if file_id in files else next(errors)

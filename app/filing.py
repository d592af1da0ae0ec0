"""The end of an upload for a worklist entry: its studies are filed under the entry."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import Conflict, NotFound
from core.net.v3_client import V3Client
from core.net.worklist_client import WorklistClient
from core.upload.job import UploadJob
from core.upload.nouns import UploadReceipt
from core.upload.runner import Conclude

NOT_FILED = "The images are in the archive, but could not be put under the worklist entry."


def conclusion(job: UploadJob, client: Callable[[], V3Client]) -> Conclude | None:
    """Lets what arrived belong to the entry the job was sent for; None if it was for none.

    It raises Conflict where the entry does not take the studies (any more).
    """
    if not job.entry:
        return None

    def file(receipt: UploadReceipt) -> None:
        there = [each.study_uid for each in receipt.studies if each.sent or each.already_there]
        if not there:
            return
        try:
            WorklistClient(client().session, job.namespace).file(job.entry, there)
        except (NotFound, Conflict) as error:
            raise Conflict(NOT_FILED, error.message) from error

    return file

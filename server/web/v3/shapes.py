"""The JSON of the V3 storage API: what its document shows, as types for OpenAPI, and how ours is made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from core.archive.archive import Archive
from core.archive.nouns import Attachment, StoredImage, StoreResult, StudySchema, StudyTags
from core.archive.phi import PHI
from server.web.errors import encode

STORED_TAGS = tuple(sorted({*PHI, "(0008,0018)", "(0008,103E)", "(0020,000D)", "(0020,000E)"}))
"""What the answer to an upload repeats of the image."""


class ErrorKind(TypedDict):
    code: int
    readable_status: str


class Error(TypedDict):
    kind: ErrorKind
    message: str
    exception_data: dict[str, Any]
    created: str
    extended: dict[str, Any] | None


class Tag(TypedDict):
    tag: str
    value: str


class TagValues(TypedDict):
    tag: str
    value: list[str]


class Phi(TypedDict):
    tag: str
    value: str
    attr: list[Tag]


class Image(TypedDict):
    id: str
    version: str
    rank: int
    frame_count: int


class Series(TypedDict):
    id: str
    series_uid: str
    images: list[Image]


class AttachmentShape(TypedDict):
    id: str
    version: str
    name: str
    content_type: str
    size: int
    source_label: str
    created: str


class Schema(TypedDict):
    namespace: str
    study_uid: str
    series: list[Series]
    attachments: list[AttachmentShape]


class Tags(TypedDict):
    namespace: str
    study_uid: str
    tags: list[Tag]
    size: int
    image_count: int
    attachment_count: int


class TransferAttributes(TypedDict):
    result: list[TagValues]


class StoredImageShape(TypedDict):
    namespace: str
    study_uid: str
    image_uid: str
    attr: list[Tag]
    image_version: str


class StoredAttachmentShape(TypedDict):
    namespace: str
    study_uid: str
    attachment_guid: str
    attachment_version: str
    source_label: str


def tag_list(values: Mapping[str, str]) -> list[Tag]:
    """Values by tag as the API lists them."""
    return [{"tag": tag, "value": value} for tag, value in values.items()]


def phi(uid: str, values: Mapping[str, str]) -> Phi:
    """PHI of a study or an image, headed by its UID."""
    return {"tag": uid, "value": uid, "attr": tag_list(values)}


def schema(found: StudySchema, *, attachments_only: bool = False) -> Schema:
    """Series with their images, and attachments."""
    series: list[Series] = [
        {
            "id": row.id,
            "series_uid": row.series_uid,
            "images": [
                {
                    "id": image.sop_instance_uid,
                    "version": image.version,
                    "rank": image.rank,
                    "frame_count": image.frame_count,
                }
                for image in row.images
            ],
        }
        for row in found.series
    ]
    return {
        "namespace": found.namespace,
        "study_uid": found.study_uid,
        "series": [] if attachments_only else series,
        "attachments": [attachment(each) for each in found.attachments],
    }


def extended(archive: Archive, found: StudySchema, phi_namespace: str | None) -> dict[str, Any]:
    """What `extended=1` adds to a schema."""
    values = archive.study_phi(found.namespace, found.study_uid, phi_namespace)
    return {
        "phi_version": hashlib.sha256(encode(dict(values))).hexdigest()[:32],
        "transfer_attributes": transfer_attributes(
            archive.transfer_attributes(found.namespace, found.study_uid)
        )["result"],
    }


def attachment(found: Attachment) -> AttachmentShape:
    """One attachment in a schema."""
    return {
        "id": found.guid,
        "version": found.version,
        "name": found.name,
        "content_type": found.content_type,
        "size": found.bytes,
        "source_label": found.uploaded_by,
        "created": found.created.isoformat(),
    }


def tags(found: StudyTags) -> Tags:
    """Average tags of a study with its size."""
    return {
        "namespace": found.namespace,
        "study_uid": found.study_uid,
        "tags": tag_list(found.tags),
        "size": found.size,
        "image_count": found.image_count,
        "attachment_count": found.attachment_count,
    }


def transfer_attributes(found: Mapping[str, Any]) -> TransferAttributes:
    """Transfer syntaxes and SOP classes of a study."""
    return {"result": [{"tag": tag, "value": list(values)} for tag, values in found.items()]}


def stored_image(result: StoreResult) -> StoredImageShape:
    """The answer to an upload."""
    return {
        "namespace": result.namespace,
        "study_uid": result.study_uid,
        "image_uid": result.sop_uid,
        "attr": [
            {"tag": tag, "value": result.attributes[tag]} for tag in STORED_TAGS if tag in result.attributes
        ],
        "image_version": result.version,
    }


def made_image(image: StoredImage, values: Mapping[str, str]) -> StoredImageShape:
    """The same for an image that was made here; *values* are its PHI."""
    more = {
        "(0008,0018)": image.sop_instance_uid,
        "(0020,000D)": image.study_uid,
        "(0020,000E)": image.series_uid,
    }
    return {
        "namespace": image.namespace,
        "study_uid": image.study_uid,
        "image_uid": image.sop_instance_uid,
        "attr": tag_list(dict(sorted({**values, **more}.items()))),
        "image_version": image.version,
    }


def stored_attachment(namespace: str, study_uid: str, found: Attachment) -> StoredAttachmentShape:
    """The answer to a posted attachment."""
    return {
        "namespace": namespace,
        "study_uid": study_uid,
        "attachment_guid": found.guid,
        "attachment_version": found.version,
        "source_label": found.uploaded_by,
    }

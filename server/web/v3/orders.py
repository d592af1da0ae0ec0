"""V3 storage, orders: post, search, associate with a study, look at the associations and undo them."""

from __future__ import annotations

from typing import Any

from core.access.rights import Right
from core.archive.matching import FIELDS
from core.archive.orders import BadField, Hit, Orders
from core.archive.overlays import Layer
from server.web.body import read_document
from server.web.call import Call, Receive, Scope, Send, answer, answer_json, call_of, caller_of
from server.web.errors import BAD_JSON, Refused
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3.study import STUDY

TAG = "V3 storage"
ORDER = "/api/v3/storage/order/{order_namespace}"
ASSOCIATION = f"{STUDY}/order/{{order_namespace}}"
PLAIN = (b"content-type", b"text/plain; charset=utf-8")
TEXT = {200: ("text/plain",), 400: ("application/json",)}
MOST = 1000


class OrderRoutes:
    """Handlers of orders over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._orders = Orders(services.archive.db, services.archive.audit)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        json = ("application/json",)
        fields = {field: "What the order says, or nearly." for field in FIELDS}
        one = f"{ASSOCIATION}/{{association_id}}"
        return [
            Operation(ORDER, "POST", self.post, TAG, body=json, answers=TEXT),
            Operation(ORDER, "GET", self.search, TAG, query=fields | {"limit": "Orders at most."}),
            Operation(ASSOCIATION, "PUT", self.associate, TAG, body=json, answers=TEXT),
            Operation(ASSOCIATION, "GET", self.associations, TAG),
            Operation(one, "DELETE", self.undo, TAG, answers={202: (), 404: json}),
        ]

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep an order; its GUID comes back."""
        caller, namespace = caller_of(scope), scope["path_params"]["order_namespace"]
        caller.require(Right.ORDERS, namespace)
        message = await self._body(call_of(scope), receive)
        try:
            order = await self._services.durable(
                lambda: self._orders.post(namespace, message, actor=caller.login)
            )
        except BadField as error:
            raise Refused(BAD_JSON, error.message) from error
        await answer(send, 200, order.guid.encode(), [PLAIN])

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Orders of a namespace that fit, the best first; an exact order_id before all."""
        call, namespace = call_of(scope), scope["path_params"]["order_namespace"]
        caller_of(scope).require(Right.VIEW, namespace)
        wanted = {field: call.query(field) for field in FIELDS}
        limit = call.number("limit", 100, lowest=1, highest=MOST)
        hits = await self._services.run(lambda: self._orders.search(namespace, wanted, limit))
        await answer_json(send, 200, {"result": [_hit(hit) for hit in hits]})

    async def associate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lay what an order says over a study's PHI, seen with phi_namespace = the order's namespace.

        The body is a RelevantData document; the answer is the GUID of the association. The header
        X-Dicomgrid-No-Notification: 1 keeps it from being notified.
        """
        call, caller, params = call_of(scope), caller_of(scope), scope["path_params"]
        for namespace in (params["namespace"], params["order_namespace"]):
            caller.require(Right.ORDERS, namespace)
        message = await self._body(call, receive)
        try:
            layer = await self._services.durable(
                lambda: self._orders.associate(
                    params["namespace"],
                    params["study_uid"],
                    params["order_namespace"],
                    message,
                    actor=caller.login,
                    silent=call.silent,
                )
            )
        except BadField as error:
            raise Refused(BAD_JSON, error.message) from error
        await answer(send, 200, layer.guid.encode(), [PLAIN])

    async def associations(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The associations of a study in a namespace, the oldest first, with what it said before."""
        caller, params = caller_of(scope), scope["path_params"]
        for namespace in (params["namespace"], params["order_namespace"]):
            caller.require(Right.VIEW, namespace)
        found = await self._services.run(
            lambda: self._orders.overlays.layers(
                params["namespace"], params["study_uid"], params["order_namespace"]
            )
        )
        await answer_json(send, 200, {"result": [_association(layer) for layer in found]})

    async def undo(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Undo an association: the study's PHI is what it was without it."""
        call, caller, params = call_of(scope), caller_of(scope), scope["path_params"]
        for namespace in (params["namespace"], params["order_namespace"]):
            caller.require(Right.ORDERS, namespace)
        await self._services.durable(
            lambda: self._orders.overlays.lift(
                params["namespace"],
                params["study_uid"],
                params["order_namespace"],
                params["association_id"],
                actor=caller.login,
                silent=call.silent,
            )
        )
        await answer(send, 202)

    async def _body(self, call: Call, receive: Receive) -> str:
        raw = await read_document(call, receive, limits=self._services.limits)
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Refused(BAD_JSON, f"The body is no valid UTF-8 at byte {error.start}.") from error


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "namespace": hit.order.namespace,
        "attachment_guid": hit.order.guid,
        "attachment_version": hit.order.version,
        "order_data": dict(hit.order.data),
        "normalized_score": hit.score,
    }


def _association(layer: Layer) -> dict[str, Any]:
    return {
        "id": layer.guid,
        "phi_namespace": layer.phi_namespace,
        "created": int(layer.created * 1000),
        "actor": layer.actor,
        "tags": [{"tag": tag, "value": value} for tag, value in layer.tags.items()],
        "originals": [{"tag": tag, "value": value} for tag, value in layer.originals.items()],
    }

"""`filmjacket users`: the accounts of an archive; short transactions, also while it is served."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from app import compose, paths
from core.access.accounts import Account
from core.errors import BadInput, NotFound

ADMIN = "admin"

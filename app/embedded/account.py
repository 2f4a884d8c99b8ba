"""The unprivileged account that runs the embedded server where we are root."""

import logging
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from app.errors import TruthlineError

_log = logging.getLogger(__name__)

_NAME = "truthline"


class NoServerAccount(TruthlineError):
    """The unprivileged account that runs the server for root can't be created."""


class Account(NamedTuple):
    """Who runs the server and owns its files, where that isn't simply us."""

    user: int
    group: int


def server_account(data: Path) -> Account | None:
    """Return the account to run the server as if we are root, which PostgreSQL refuses to be.

    None means our own. The owner of existing data keeps them.

    Raises:
        NoServerAccount: We are root and the account can't be created.
    """
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        status = data.stat()
        if status.st_uid != 0:
            return Account(status.st_uid, status.st_gid)
    account = _find_account() or _create_account()
    return Account(account.pw_uid, account.pw_gid)


def _find_account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(_NAME)
    except KeyError:
        return None


def _create_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if useradd is None:
        raise NoServerAccount(_account_advice("there is no useradd to create one"))
    kind = ("--system", "--no-create-home", "--shell", "/usr/sbin/nologin")
    created = subprocess.run([useradd, *kind, _NAME], capture_output=True, text=True, check=False)
    account = _find_account()  # Whatever useradd says, another process may have been faster.
    if account is None:
        raise NoServerAccount(_account_advice(created.stderr.strip()))
    return account


def _account_advice(reason: str) -> str:
    return (
        "PostgreSQL doesn't run as root, and there is no account to run it as "
        f"({reason}). Create the system user {_NAME!r}, or run Truthline as another user."
    )


def open_way(path: Path, account: Account) -> None:
    """Let the account pass through the directories above a path, without seeing what is in them."""
    for parent in path.resolve().parents:
        status = parent.stat()
        if not status.st_mode & _passage(status, account):
            _log.warning("Opening %s to be passed through by other users", parent)
            parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


def _passage(status: os.stat_result, account: Account) -> int:
    """Return the permission that decides whether the account may pass through a directory."""
    if status.st_uid == account.user:
        return stat.S_IXUSR
    return stat.S_IXGRP if status.st_gid == account.group else stat.S_IXOTH

"""The unprivileged account that runs the embedded server if we are root."""

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
    """The user and group that run the server and own its files, if they are not ours."""

    user: int
    group: int


def server_account(data: Path) -> Account | None:
    """Return the account for the server if we are root, because PostgreSQL refuses to run as root.

    None means our own account. Existing data keep their owner.

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
    account = _find_account()  # Even if useradd failed: another process may have been faster.
    if account is None:
        raise NoServerAccount(_account_advice(created.stderr.strip()))
    return account


def _account_advice(reason: str) -> str:
    return (
        "PostgreSQL doesn't run as root, and there is no account to run it as "
        f"({reason}). Create the system user {_NAME!r}, or run Truthline as another user."
    )


def open_way(path: Path, account: Account) -> None:
    """Let the account pass through the directories above a path, without reading them."""
    for parent in path.resolve().parents:
        status = parent.stat()
        if not status.st_mode & _passage(status, account):
            _log.warning("Allowing other users to pass through %s", parent)
            parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


def _passage(status: os.stat_result, account: Account) -> int:
    """Return the permission that lets the account pass through a directory."""
    if status.st_uid == account.user:
        return stat.S_IXUSR
    return stat.S_IXGRP if status.st_gid == account.group else stat.S_IXOTH

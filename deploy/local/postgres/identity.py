"""As whom PostgreSQL runs. It refuses root, so root hands it to another user.

An ordinary user runs it himself. Root runs it as `postgres`, else `nobody`; where that user
cannot reach the programs or the data (a private home, a test's directory), root runs it in a user
namespace in which root itself is called `nobody`, and every path stays reachable.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.processes import OURSELVES, Identity

NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
ACCOUNTS = ("postgres", "nobody")


def owner_of(data: Path, program: Path) -> Identity:
    """The identity to run `program` on the directory `data`, which is handed over to it."""
    if os.geteuid() != 0:
        return OURSELVES if _has_a_name(os.geteuid()) else _in_namespace()
    account = _account()
    if account is not None and _can_reach(account, data, program):
        hand_over(data, account)
        return _as(account)
    _take_back(data)
    return _in_namespace()


def hand_over(path: Path, account: pwd.struct_passwd) -> None:
    """Make `account` the owner of `path` and of all in it."""
    os.chown(path, account.pw_uid, account.pw_gid)
    for child in path.rglob("*") if path.is_dir() else ():
        os.chown(child, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _in_namespace() -> Identity:
    if shutil.which(NAMESPACE[0]) is None:
        raise StackError("PostgreSQL refuses to run as this user, and there is no `unshare`")
    return Identity(arguments={}, prefix=NAMESPACE)


def _has_a_name(user: int) -> bool:
    # initdb insists on one; a container that runs under a random number has none.
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _take_back(path: Path) -> None:
    if path.exists() and path.stat().st_uid != 0:
        hand_over(path, pwd.getpwuid(0))


def _account() -> pwd.struct_passwd | None:
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _as(account: pwd.struct_passwd) -> Identity:
    user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return Identity(arguments=user)


def _can_reach(account: pwd.struct_passwd, data: Path, program: Path) -> bool:
    # The directory that holds the data must let the account pass; the data itself is handed over.
    probe = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$0" && test -x "$1"', program, data.parent],
        cwd="/", check=False, **_as(account).arguments,  # type: ignore[call-overload]
    )  # fmt: skip
    return bool(probe.returncode == 0)

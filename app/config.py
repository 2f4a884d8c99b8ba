"""Settings: one frozen value, read from the environment once."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "TRUTHLINE_"
# Settings that may contain a password can be in a file, which FILE_SUFFIX names.
SECRETS = ("database_url", "direct_database_url", "read_database_url")
FILE_SUFFIX = "_FILE"
MAX_SECRET_BYTES = 65_536
MEBIBYTE = 1024 * 1024
# Craft's client exchanges its token before every call once it expires in 120 s or less.
ACCESS_TOKEN_SECONDS = (300, 86_400)

MAX_DAYS = 36_500
# Halves of a pair are kept for a day; the worker may be away for half of it.
MAX_UNANSWERED_S = 43_200.0
# How the paths of routes begin; a test compares them.
OWN_PATHS = (
    "/api/v1",
    "/auth/realms",
    "/docs",
    "/executions",
    "/export",
    "/inference-stats",
    "/livez",
    "/login",
    "/logout",
    "/metrics",
    "/metrics-server/api/v1",
    "/monitor",
    "/monitors",
    "/new-monitor",
    "/model",
    "/drift",
    "/model-monitoring",
    "/openapi.json",
    "/problems",
    "/protocol",
    "/request",
    "/requests",
    "/readyz",
    "/status",
    "/v1/metrics",
    "/web",
)
EVERY_PROXY = "*"
SUB_PATH = re.compile(r"(/[\w.~-]+)+", re.ASCII)
POOLERS = ("auto", "transaction", "none")  # see app/store/poolers.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. `docs/settings.md` has a row for each, which a test checks."""

    database_url: str = ""  # empty: the embedded server in `data`
    direct_database_url: str = ""  # empty: `database_url`
    read_database_url: str = ""  # empty: questions go to `database_url`
    max_replica_lag_s: float = 60.0
    pooler: str = "auto"
    data: Path = Path("truthline-data")
    pool_size: int = 16
    pool_timeout_s: float = 10.0
    statement_timeout_ms: int = 30_000
    max_batch_rows: int = 100_000
    max_body_bytes: int = 32 * MEBIBYTE
    max_bulk_bytes: int = 16 * 1024 * MEBIBYTE
    max_parquet_bytes: int = 2 * 1024 * MEBIBYTE
    max_bulk_bodies: int = 2
    max_exports: int = 2
    head_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    answer_timeout_s: float = 60.0
    max_waiting_bytes: int = 256 * MEBIBYTE
    max_questions: int = 0  # 0: all threads but two, if their number is known
    max_buckets_at_once: int = 20_000
    max_series_per_model: int = 10_000  # 0: no limit
    auth: bool = True
    access_token_seconds: int = 3_600
    public_url: str = ""  # empty: from the request
    trusted_proxies: str = "127.0.0.1,::1"
    oidc_issuer: str = ""  # empty: no tokens of others are accepted
    oidc_audience: str = ""
    oidc_workspace_claim: str = "truthline_workspace"
    oidc_role_claim: str = "truthline_role"
    metrics_servers: str = ""  # empty: every deployment has the defaults
    events_workspace: str = ""  # empty: events need a key, like all other requests
    receiver_networks: str = ""  # empty: receivers have public addresses
    unanswered_after_s: float = 0.0  # 0: a request without a response is no failure
    keep_raw_days: int = 0  # 0: permanently, as below
    keep_fine_days: int = 0
    keep_asof_days: int = 0
    keep_keys_days: int = 0
    keep_executions_days: int = 0
    keep_verdicts_days: int = 0
    columnstore_after_days: int = 3  # 0: never
    log_format: str = "text"

    def __post_init__(self) -> None:
        """Reject what could only fail later, or would be insecure.

        Raises:
            ValueError: the message names the variable.
        """
        self._check_retention()
        if self.pooler not in POOLERS:
            raise ValueError(f"TRUTHLINE_POOLER must be one of {', '.join(POOLERS)}")
        self._check_limits()
        if not 0 <= self.unanswered_after_s <= MAX_UNANSWERED_S:
            raise ValueError(f"TRUTHLINE_UNANSWERED_AFTER_S must be 0 to {MAX_UNANSWERED_S:.0f}")
        shortest, longest = ACCESS_TOKEN_SECONDS
        if not shortest <= self.access_token_seconds <= longest:
            raise ValueError(f"TRUTHLINE_ACCESS_TOKEN_SECONDS must be {shortest} to {longest}")
        for name, url in (("OIDC_ISSUER", self.oidc_issuer), ("PUBLIC_URL", self.public_url)):
            if url and not re.fullmatch(r"https?://[^\s?#]+", url):
                raise ValueError(f"TRUTHLINE_{name} must be a URL of http or https")
        _check_sub_path(urlsplit(self.public_url).path.rstrip("/"))
        _check_proxies(self.trusted_proxies)
        _check_receivers(self.receiver_networks)
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError(
                "TRUTHLINE_OIDC_AUDIENCE must be set too, or tokens that the issuer created for"
                " others would be accepted"
            )

    @property
    def direct(self) -> "Settings":
        """The same without the pooler, if it can be gone around."""
        if not self.direct_database_url:
            return self
        return replace(self, database_url=self.direct_database_url, pooler="auto")

    def _check_limits(self) -> None:
        for name in ("max_bulk_bodies", "max_exports"):
            if getattr(self, name) < 1:
                raise ValueError(f"{PREFIX}{name.upper()} must be at least 1")
        for name in ("head_timeout_s", "body_timeout_s", "answer_timeout_s", "max_replica_lag_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{PREFIX}{name.upper()} must be more than 0")

    def _check_retention(self) -> None:
        """Cells must outlive the rows that distinguish their parts."""
        days = {f.name: getattr(self, f.name) for f in fields(self) if f.name.endswith("_days")}
        for name, number in days.items():
            if not 0 <= number <= MAX_DAYS:
                raise ValueError(f"{PREFIX}{name.upper()} must be 0 to {MAX_DAYS}")
        if self.keep_fine_days and not 0 < self.keep_raw_days <= self.keep_fine_days:
            raise ValueError(
                "TRUTHLINE_KEEP_FINE_DAYS must be no less than TRUTHLINE_KEEP_RAW_DAYS, which must"
                " be set too"
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read `TRUTHLINE_<FIELD>` for each field; absent or empty ones keep their default.

        Those in SECRETS are also read from the file that `TRUTHLINE_<FIELD>_FILE` names.

        Raises:
            ValueError: a value is invalid by itself or together with others, or its file can't be
                read; the message names the variable and never what the file contains.
        """
        values: dict[str, Any] = {
            field.name: _parse(PREFIX + field.name.upper(), field.default, text)
            for field in fields(cls)
            if (text := _text_of(environ, field.name))
        }
        return cls(**values)


def _text_of(environ: Mapping[str, str], name: str) -> str:
    """The text of a setting, from its variable or its file; empty if it has neither."""
    variable = PREFIX + name.upper()
    text = environ.get(variable, "")
    path = environ.get(variable + FILE_SUFFIX, "") if name in SECRETS else ""
    if text and path:
        raise ValueError(f"{variable} and {variable}{FILE_SUFFIX} are both set: remove one")
    return _secret(variable + FILE_SUFFIX, Path(path)) if path else text


def _secret(variable: str, path: Path) -> str:
    """The content of a file without the space around it, such as the newline that editors add."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        raise ValueError(f"{variable}: {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{variable}: {path} is not a text in UTF-8") from None
    if not text or "\0" in text or len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"{variable}: {path} is empty, too long or no text")
    return text


def networks(text: str) -> list[IPv4Network | IPv6Network]:
    """Addresses and networks that are separated by commas.

    Raises:
        ValueError: one is neither.
    """
    return [ip_network(part.strip(), strict=False) for part in text.split(",") if part]


def _check_receivers(text: str) -> None:
    try:
        networks(text)
    except ValueError as error:
        raise ValueError(f"TRUTHLINE_RECEIVER_NETWORKS: {error}") from None


def _check_proxies(text: str) -> None:
    try:
        networks("" if text.strip() == EVERY_PROXY else text)
    except ValueError as error:
        raise ValueError(f"TRUTHLINE_TRUSTED_PROXIES: {error}") from None


def _check_sub_path(path: str) -> None:
    """A path passed on by a proxy must differ from all paths of which a proxy has stripped it."""
    if path and not SUB_PATH.fullmatch(path):
        raise ValueError(
            "the path of TRUTHLINE_PUBLIC_URL may have letters, digits, '.', '_', '~' and '-' only"
        )
    for own in OWN_PATHS if path else ():
        if f"{own}/".startswith(f"{path}/") or path.startswith(f"{own}/"):
            raise ValueError(
                f"the path of TRUTHLINE_PUBLIC_URL can't be {path}, because {own} is a path of"
                " Truthline itself: choose another, such as /truthline"
            )


BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _parse(name: str, default: object, text: str) -> object:
    if isinstance(default, bool):
        if text.lower() not in BOOLEANS:
            raise ValueError(f"{name} must be true or false, not {text!r}")
        return BOOLEANS[text.lower()]
    try:
        return type(default)(text)  # type: ignore[call-arg] # each accepts a text
    except ValueError:
        raise ValueError(f"{name} must be of type {type(default).__name__}, not {text!r}") from None


# Variables of others that share the prefix: the Python client's, and those of the compose file.
OTHERS = {"TRUTHLINE_URL", "TRUTHLINE_KEY", "TRUTHLINE_EXECUTION_ID", "TRUTHLINE_DB_PASSWORD"}
OTHERS_PREFIX = "TRUTHLINE_TEST_"


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable with our prefix that is no setting, with a suggestion."""
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    known |= {PREFIX + name.upper() + FILE_SUFFIX for name in SECRETS}
    unknown = sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and not name.startswith(OTHERS_PREFIX) and name not in OTHERS
    )
    return [
        f"{name} is not a setting and is ignored{_suggestion(name, known)}"
        for name in unknown
        if name not in known
    ]


def _suggestion(name: str, known: Iterable[str]) -> str:
    short = {setting.removeprefix(PREFIX): setting for setting in known}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), short, n=1)
    return f"; did you mean {short[close[0]]}?" if close else ""

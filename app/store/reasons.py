"""Why a database can't be reached, in words.

The words go to everyone who asks, so they name no host, user or database. What the driver said
does, but never a password; it goes to the log and to the command line.
"""

import re

# Names could contain any word, so they are cut out before these are searched. The first that is
# found counts. A server that speaks another language than English is only quoted.
WORDS = {
    r"password authentication failed|no password supplied|SASL|SCRAM": "its password is rejected",
    r"no such user|role \S+ does not exist|user \S+ does not exist": "there is no such role",
    r"no such database|database \S+ does not exist": "there is no such database",
    r"pg_hba\.conf|authentication failed": "it does not admit this client (pg_hba.conf)",
    r"permission denied for database": "the role lacks the privilege CONNECT",
    r"too many|connection slots|no more connections|query_wait_timeout": (
        "it has no free connection"
    ),
    r"startup parameter|command-line options": "a pooler rejects the options in its URL",
    r"not currently accepting connections": "it accepts no connections",
    r"database system is|administrator command|cannot connect now": (
        "it is starting or shutting down"
    ),
    r"translate host name|Name or service|name resolution|resolve|nodename": (
        "its host name is unknown"
    ),
    r"refused|No such file|cannot connect to server": "nothing listens at its address",
    r"timeout|timed out|has been silent|route to host|unreachable": "it does not respond",
    r"SSL SYSCALL|closed the connection|connection is (lost|closed|bad)|reset by peer|EOF": (
        "the connection was lost"
    ),
    r"SSL|TLS|certificate|channel.binding|GSSAPI": "TLS can't be established",
    r"invalid connection option|invalid URI|invalid .* value|invalid integer": (
        "its URL has an invalid parameter"
    ),
}


def in_words(said: str) -> str:
    """The reason as a clause, or "" if it is none of those known."""
    said = re.sub(r'"[^"]*"', '""', said)
    return next((words for pattern, words in WORDS.items() if re.search(pattern, said)), "")


def quoted(error: object) -> str:
    """What the driver said, in one line."""
    said = " ".join(str(error).split())
    return said.removeprefix("connection failed: ").removeprefix("connection is bad: ")

"""IMAP side of the simulated operator (RFC 3501 with LITERAL+, SASL-IR, UIDPLUS, MOVE, UNSELECT).

One `ImapSession` per connection. Nothing but CAPABILITY, NOOP, LOGOUT and STARTTLS is answered
before TLS, as at a real operator (ECO.1.0.2).
"""

import asyncio
import base64
import binascii
import fnmatch
import re
from collections.abc import Awaitable, Callable
from typing import Final

from infra.local.operator_imap_selected import BY_NUMBER, IN_FOLDER, Selected
from infra.local.operator_imap_syntax import Bad, Command, No, Token, string, strings, tokens
from infra.local.operator_rules import OperatorRules, certified_mailbox
from infra.local.operator_store import Folder
from infra.local.operator_wire import Gone, Wire

_LITERAL: Final = re.compile(rb"\{(\d+)(\+?)\}\r?\n\Z")
_MAX_LITERAL: Final = 64 * 1024 * 1024
_FLAGS: Final = r"(\Answered \Flagged \Deleted \Seen \Draft)"
_AUTHENTICATED: Final = ("UIDPLUS", "MOVE", "UNSELECT")
_ALWAYS: Final = frozenset({"CAPABILITY", "NOOP", "LOGOUT"})
_ENTRY: Final = frozenset({"STARTTLS", "AUTHENTICATE", "LOGIN"})
_LEAVING: Final = frozenset({"CLOSE", "UNSELECT", "CHECK"})


class ImapSession:
    """One connection from greeting to LOGOUT."""

    def __init__(self, wire: Wire, rules: OperatorRules) -> None:
        self._wire = wire
        self._rules = rules
        self._store = rules.store
        self._mailbox = ""
        self._selected: Selected | None = None
        self._handlers: dict[str, Callable[[Command], Awaitable[str]]] = {
            "CAPABILITY": self._capability,
            "NOOP": self._nothing,
            "CHECK": self._nothing,
            "STARTTLS": self._starttls,
            "AUTHENTICATE": self._authenticate,
            "LOGIN": self._login,
            "SELECT": self._select,
            "EXAMINE": self._select,
            "CREATE": self._create,
            "LIST": self._list,
            "STATUS": self._status,
            "APPEND": self._append,
            "CLOSE": self._unselect,
            "UNSELECT": self._unselect,
            **dict.fromkeys(IN_FOLDER, self._in_folder),
        }

    async def run(self) -> None:
        """Serve until LOGOUT or the end of the connection."""
        try:
            await self._tell(f"OK [CAPABILITY {self._capabilities()}] ready.")
            while await self._one():
                pass
        except (Gone, ConnectionError):
            pass
        finally:
            await self._wire.close()

    async def _one(self) -> bool:
        command = await self._read()
        await asyncio.sleep(self._rules.faults.delay_s)
        if command.name == "LOGOUT":
            await self._tell("BYE Good bye.")
            await self._say(f"{command.tag} OK Done.")
            return False
        answer = await self._answer(command)
        if self._rules.faults.cut_now(command.name):
            self._wire.cut()
            raise Gone
        if self._selected and (command.by_uid or command.name not in BY_NUMBER):
            await self._selected.news()
        await self._say(f"{command.tag} {answer}")
        if command.name == "STARTTLS" and answer.startswith("OK"):
            await self._wire.start_tls(self._rules.tls)
            if self._rules.options.certificate_is_enough:
                certified = certified_mailbox(self._wire.certificate)
                self._mailbox = self._rules.signed_in(certified, "", None)
        return True

    async def _answer(self, command: Command) -> str:
        try:
            return await self._allowed(command)(command)
        except No as refusal:
            return f"NO {refusal}"
        except (Bad, IndexError, ValueError):
            return "BAD Not understood."

    def _allowed(self, command: Command) -> Callable[[Command], Awaitable[str]]:
        """The handler, when the command exists in this state of the connection."""
        name = command.name
        if name not in self._handlers or name in self._rules.faults.hidden_capabilities:
            raise Bad
        if name in _ALWAYS:
            return self._handlers[name]
        if (name in _ENTRY) == bool(self._mailbox):
            raise Bad
        if name != "STARTTLS" and not self._wire.secure:
            raise No("[PRIVACYREQUIRED] STARTTLS first.")
        if name in IN_FOLDER | _LEAVING and self._selected is None:
            raise Bad
        if self._mailbox and self._rules.faults.use("limited"):
            raise No("[LIMIT] Too many commands, come back later.")
        return self._handlers[name]

    # Reading and writing

    async def _read(self) -> Command:
        text, literals = "", list[bytes]()
        while True:
            line = await self._wire.line()
            literal = _LITERAL.search(line)
            if literal is None:
                break
            text += line[: literal.start()].decode("latin-1") + f"\0{len(literals)}\0"
            literals.append(await self._literal(int(literal[1]), wait=not literal[2]))
        text += line.decode("latin-1")
        tag, _, rest = text.strip().partition(" ")
        name, _, rest = rest.partition(" ")
        by_uid = name.upper() == "UID"
        if by_uid:
            name, _, rest = rest.partition(" ")
        try:
            return Command(tag, name.upper(), by_uid, tokens(rest, literals))
        except Bad:
            return Command(tag, "", by_uid, [])

    async def _literal(self, size: int, *, wait: bool) -> bytes:
        if size > _MAX_LITERAL:
            raise Gone
        if wait:
            await self._say("+ go on")
        return await self._wire.exactly(size)

    async def _say(self, text: str) -> None:
        await self._wire.write(text.encode("latin-1") + b"\r\n")

    async def _tell(self, text: str) -> None:
        await self._say(f"* {text}")

    # Any state and entry

    def _capabilities(self) -> str:
        words = ["IMAP4rev1", "LITERAL+", "SASL-IR"]
        if self._mailbox:
            words += _AUTHENTICATED
        elif self._wire.secure:
            words += ["AUTH=EXTERNAL", "AUTH=PLAIN"]
        else:
            words += ["STARTTLS", "LOGINDISABLED"]
        return " ".join(w for w in words if w not in self._rules.faults.hidden_capabilities)

    async def _capability(self, _: Command) -> str:
        await self._tell(f"CAPABILITY {self._capabilities()}")
        return "OK Done."

    async def _nothing(self, _: Command) -> str:
        return "OK Done."

    async def _starttls(self, _: Command) -> str:
        if self._wire.secure:
            raise Bad
        return "OK Begin TLS negotiation now."

    async def _authenticate(self, command: Command) -> str:
        mechanism = string(command.args[0]).upper()
        if mechanism not in {"EXTERNAL", "PLAIN"}:
            raise No("[CANNOT] Unknown mechanism.")
        if len(command.args) > 1:
            response = string(command.args[1])
        else:
            await self._say("+ ")
            response = (await self._wire.line()).decode("latin-1").strip()
        try:
            text = base64.b64decode("" if response == "=" else response, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Bad from None
        if mechanism == "EXTERNAL":
            return self._enter(text, None)
        _, user, password = text.split("\0")
        return self._enter(user, password)

    async def _login(self, command: Command) -> str:
        return self._enter(string(command.args[0]), string(command.args[1]))

    def _enter(self, asked: str, password: str | None) -> str:
        certified = certified_mailbox(self._wire.certificate)
        self._mailbox = self._rules.signed_in(certified, asked, password)
        if not self._mailbox:
            raise No("[AUTHENTICATIONFAILED] Refused.")
        return f"OK [CAPABILITY {self._capabilities()}] Welcome."

    # Authenticated

    async def _select(self, command: Command) -> str:
        self._selected = None
        folder = self._existing(command.args[0], "")
        mails = self._store.mails(folder)
        for line in (
            f"FLAGS {_FLAGS}",
            f"OK [PERMANENTFLAGS {_FLAGS}] These.",
            f"{len(mails)} EXISTS",
            "0 RECENT",
            f"OK [UIDVALIDITY {folder.uid_validity}] UIDs valid.",
            f"OK [UIDNEXT {folder.uid_next}] Next UID.",
        ):
            await self._tell(line)
        read_only = command.name == "EXAMINE"
        view = [mail.uid for mail in mails]
        self._selected = Selected(self._wire, self._rules, folder, self._existing, view, read_only)
        return "OK [READ-ONLY] Done." if read_only else "OK [READ-WRITE] Done."

    async def _unselect(self, command: Command) -> str:
        if self._selected and command.name == "CLOSE":
            self._selected.closed()
        self._selected = None
        return "OK Done."

    async def _in_folder(self, command: Command) -> str:
        if self._selected is None:
            raise Bad
        return await self._selected.answer(command)

    def _existing(self, name: Token, code: str = "[TRYCREATE] ") -> Folder:
        folder = self._store.folder(self._mailbox, string(name))
        if folder is None:
            raise No(f"{code}No such folder.")
        return folder

    async def _create(self, command: Command) -> str:
        if not self._store.create_folder(self._mailbox, string(command.args[0])):
            raise No("[ALREADYEXISTS] It exists.")
        return "OK Done."

    async def _list(self, command: Command) -> str:
        pattern = string(command.args[1]).replace("%", "*")
        for folder in self._store.folders(self._mailbox):
            if fnmatch.fnmatchcase(folder.name, pattern):
                await self._tell(f'LIST (\\HasNoChildren) "/" "{folder.name}"')
        return "OK Done."

    async def _status(self, command: Command) -> str:
        folder = self._existing(command.args[0], "")
        mails = self._store.mails(folder)
        values = {
            "MESSAGES": len(mails),
            "UIDNEXT": folder.uid_next,
            "UIDVALIDITY": folder.uid_validity,
            "UNSEEN": sum("\\Seen" not in mail.flags for mail in mails),
            "RECENT": 0,
        }
        asked = [word.upper() for word in strings(command.args[1])]
        pairs = " ".join(f"{word} {values[word]}" for word in asked if word in values)
        await self._tell(f'STATUS "{folder.name}" ({pairs})')
        return "OK Done."

    async def _append(self, command: Command) -> str:
        folder = self._existing(command.args[0])
        raw = command.args[-1]
        if not isinstance(raw, bytes):
            raise Bad
        given = strings(command.args[1]) if isinstance(command.args[1], list) else []
        uid = self._store.deliver(self._mailbox, raw, folder.name, given)
        return f"OK [APPENDUID {folder.uid_validity} {uid}] Done."

"""`pfi trace`: mails from arrival to answer: times, codes, digests, no traits."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Iterator
from contextlib import suppress

from infra.cli.explain import check_lines
from infra.cli.place import add_name, stack_of
from infra.cli.review import digest_of, document_line, item_lines, mail_lines
from infra.cli.states import INTEGRATIONS_FR, LEGS_FR, act_line, labelled, moment, warned
from infra.cli.wording import EVENTS_FR, LEVELS_FR, MDN_FR, TRAITS_FR
from infra.operations.account import Stack
from infra.operations.installed_reviews import desk_of, mail_of
from infra.operations.reviews import Desk
from infra.operations.seeking import by_document, by_message_id
from infra.operations.tracing import Trace, trace_of
from pfi.ins.wording import advice
from pfi.journey.records import DocumentRecord, Dossier, MailRecord
from pfi.names import Leg


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("trace", help="le parcours d'un courriel, de l'arrivée à l'issue")
    parser.add_argument(
        "what",
        metavar="QUOI",
        help="empreinte d'un courriel (ou son début), Message-ID, ou identifiant d'un document",
    )
    add_name(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the trace of each mail."""
    with stack_of(options) as stack:
        desk = desk_of(stack)
        traces = [(mail, trace_of(desk, mail)) for mail in _sought(stack, desk, options.what)]
    for mail, trace in traces:
        sys.stdout.writelines(f"{line}\n" for line in trace_lines(mail, trace))
    return 0


def _sought(stack: Stack, desk: Desk, word: str) -> tuple[str, ...]:
    """The mails that a word names: by its form a Message-ID, a document or a digest."""
    if "@" in word:
        return by_message_id(stack, desk, word)
    with suppress(ArgumentTypeError):
        return (mail_of(stack, desk, digest_of(word)),)
    return by_document(desk, word)


def trace_lines(mail: str, trace: Trace) -> Iterator[str]:
    """From the arrival to the journal."""
    yield f"courriel {mail}"
    if trace.mail is not None:
        yield from mail_lines(trace.mail)
        if trace.mail.reason:
            yield f"  à faire : {advice('', trace.mail.reason)}"
    if trace.dossier is not None and trace.dossier.archive_sha256:
        yield f"  archive {trace.dossier.archive_sha256}"
    for document in trace.documents:
        yield from _document(document, trace.dossier)
    if trace.mail is not None:
        yield from _legs(trace.mail)
    for item in trace.items:
        yield from item_lines(item)
    yield from map(act_line, trace.acts)


def _document(document: DocumentRecord, dossier: Dossier | None) -> Iterator[str]:
    yield document_line(document)
    yield f"    {EVENTS_FR[document.event]}{_id(document, dossier)}"
    if document.decided_at:
        rule = labelled(document.reason) if document.reason else "concordante"
        yield f"    {moment(document.decided_at)}  identité décidée : {rule}"
    for each in document.findings:
        mark = " " if each.level.equal else "≠"
        yield f"      {mark} {TRAITS_FR[each.trait]:<30} {LEVELS_FR[each.level]}"
    yield from (f"  {line}" for line in check_lines(document.reason, document.findings))
    for warning in document.warnings:
        yield f"      à noter : {warned(warning)}"
    yield from _message(document)
    if document.ended_at:
        ack = f", ACK {document.ack}" if document.ack else ""
        yield f"    {moment(document.ended_at)}  {INTEGRATIONS_FR[document.integration]}{ack}"


def _id(document: DocumentRecord, dossier: Dossier | None) -> str:
    known = dossier.documents if dossier else ()
    return f", {known[document.number - 1].id}" if document.number <= len(known) else ""


def _message(document: DocumentRecord) -> Iterator[str]:
    if document.built_at and document.control_id:
        yield (
            f"    {moment(document.built_at)}  MDM construit, MSH-10 {document.control_id}, "
            f"{document.sends} envoi(s)"
        )
    if document.message_sha256:
        yield f"    message {document.message_sha256}"
    if document.repeated:
        yield "    version déjà intégrée par un autre courriel : rien n'a été envoyé"


def _legs(mail: MailRecord) -> Iterator[str]:
    for name, leg, sends in (
        ("transmission au repli", mail.forward, mail.forward_sends),
        ("réponse à l'expéditeur", mail.answer, mail.answer_sends),
    ):
        if leg is not Leg.NOT_OWED:
            why = f" ; {labelled(mail.leg_reason)}" if leg is Leg.FAILED and mail.leg_reason else ""
            yield f"  {name} : {LEGS_FR[leg]}, {sends} envoi(s){why}"
    if mail.answer is Leg.SENT:
        yield f"  accusé de traitement (MDN) : {MDN_FR[mail.mdn]}"
    if mail.settled_at:
        yield f"  {moment(mail.settled_at)}  terminé"

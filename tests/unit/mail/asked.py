"""All that the product ever asks of a mail, and what must be true of every answer."""

from pfi.mail.inbound import read
from pfi.mail.reports import bounced_message_id, read_disposition
from pfi.mail.rules import MailPolicy, answer_address, archives, kind, mdn_request, opened
from tests.unit.mail.letters import OWN

POLICY = MailPolicy(own_addresses=frozenset({OWN}))


def everything(raw):
    """Reads any bytes; an exception or a broken promise is a bug."""
    mail = read(raw)
    told = [mail.subject, mail.date, mail.sender, mail.message_id, mail.reply_to, mail.header("to")]
    told += [mail.return_path or "", *mail.recipients, *(p.filename for p in mail.parts)]
    assert not [t for t in told if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in t)]
    for found in mail.parts:
        assert 0 <= found.start <= found.end <= len(raw)
        mail.content(found)
    "".join([mail.text, *told]).encode()
    archives(opened(mail))
    return (
        kind(mail, POLICY.own_addresses),
        answer_address(mail, POLICY),
        mdn_request(mail, POLICY),
        bounced_message_id(mail),
        read_disposition(mail),
    )

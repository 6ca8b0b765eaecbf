"""The channels, put together from the settings."""

from collections.abc import Sequence

from services.cadence.channels.signing import Dkim
from services.cadence.channels.smtp import Patience, Post, Provider
from services.cadence.channels.writing import House
from services.cadence.model.letters import Sender
from services.cadence.settings import CadenceSettings


def house(settings: CadenceSettings) -> House:
    """Who writes. Raises ValueError where the DKIM key is none."""
    return House(
        public_url=settings.public_url,
        secrets=settings.secret_list,
        list_sender=_sender(settings, settings.list_address),
        notice_sender=_sender(settings, settings.notice_address),
        signer=Dkim.of_pem(
            settings.mail_domain, settings.dkim_selector, settings.dkim_key.get_secret_value()
        )
        if settings.dkim_key is not None
        else None,
    )


def post(settings: CadenceSettings) -> Post:
    """The way of mail."""
    patience = Patience(
        connect=settings.smtp_connect_seconds,
        command=settings.smtp_command_seconds,
        letter=settings.smtp_letter_seconds,
    )
    return Post(_providers(settings), patience)


def _providers(settings: CadenceSettings) -> Sequence[Provider]:
    if not settings.smtp_providers:
        return [Provider(name="smtp", host=settings.smtp_host, port=settings.smtp_port)]
    return [
        Provider(
            name=given.name,
            host=given.host,
            port=given.port,
            username=given.username,
            password=given.password.get_secret_value() if given.password else None,
            use_tls=given.use_tls,
            start_tls=given.start_tls,
            connections=given.connections,
            per_second=given.per_second,
        )
        for given in settings.smtp_providers
    ]


def _sender(settings: CadenceSettings, address: str) -> Sender:
    return Sender(
        name=settings.sender_name,
        address=address,
        domain=settings.mail_domain,
        bounces=settings.bounce_address,
        reply_to=settings.reply_address,
    )

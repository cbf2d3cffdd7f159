"""Publishes alerts to chats, in the schema of custom notifications of Amazon Q Developer in chat applications.

It shows them in Slack and Microsoft Teams: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
"""

import json
from typing import TYPE_CHECKING, Any

from inventory.alert_text import facts, headline, one_line, to_do
from inventory.alerts import attributes
from inventory.check import Alert
from inventory.links import NO_LINKS, Links

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

TEXT_LIMIT = 300
"""Characters of one name or reason."""
_LOOKALIKES = str.maketrans({"`": "ˋ", "<": "‹", ">": "›", "&": "＆", "@": "＠"})  # noqa: RUF001
"""For the characters that end a code span or begin a mention, a link or an entity. Slack's markdown has no escapes."""


class ChatAlerts:
    """The topic that chats subscribe to."""

    def __init__(self, sns: "SNSClient", topic_arn: str, links: Links = NO_LINKS) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._links = links

    def publish(self, alert: Alert) -> None:
        """Send an alert, with the attributes that it has on the topic of alerts."""
        message = notification(alert, self._links.link(alert.check))
        self._sns.publish(TopicArn=self._topic_arn, Message=json.dumps(message), MessageAttributes=attributes(alert))


def notification(alert: Alert, link: str | None = None) -> dict[str, Any]:
    """The custom notification. A `resolved` alert is in the thread of the alert that it closes."""
    check = alert.check
    title = f"Bin {in_chat(check.bin)}: {headline(alert, in_chat)}"
    return {
        "version": "1.0",
        "source": "custom",
        "id": alert.alert_id,
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": "\n".join(facts(alert, in_chat)),
            "nextSteps": [f"What to do: {to_do(alert)}", *([link] if link else [])],
            "keywords": [word for word in ("bincheck", alert.kind, check.severity, check.direction) if word],
        },
        "metadata": {
            "threadId": (check.resolves or {}).get("check_id") or check.check_id,
            "summary": title,
            "eventType": f"bincheck-{alert.kind}",
            "additionalContext": {"alert_id": alert.alert_id, "check_id": check.check_id},
        },
    }


def in_chat(text: object) -> str:
    """Other people's text as a code span, so that it is no formatting, no link and no mention."""
    plain = one_line(text, TEXT_LIMIT).translate(_LOOKALIKES).strip()
    return f"`{plain or '-'}`"

"""A page as a browser takes it: its text, its elements, and where its links and buttons lead."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "hr", "img", "input", "link", "meta", "path"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""
    form: "Element | None" = field(default=None, repr=False)


class Page(HTMLParser):
    """`path` is its address on the host; `elements` are in the order of the page, `text` is all that can be read."""

    def __init__(self, html: str, path: str = "") -> None:
        super().__init__()
        self.html, self.path, self.text = html, path, ""
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        form = next((each for each in self._open if each.tag == "form"), None)
        element = Element(tag, {name: value or "" for name, value in attributes}, form=form)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data):
        self.text += data
        for element in self._open:
            element.text += data

    @property
    def structure(self):
        """Which elements it has, each with which attributes."""
        return [(element.tag, sorted(element.attributes)) for element in self.elements]

    def all(self, tag):
        return [element for element in self.elements if element.tag == tag]

    def action(self, name):
        """Where the link or button with these words leads, and what its form sends; no form for a link."""
        element = next(
            each
            for each in self.elements
            if each.tag in ("a", "button")
            and each.text.strip().startswith(name)
            and "default" not in each.attributes.get("class", "")
        )
        if element.tag == "a":
            return element.attributes["href"], None
        fields = {
            each.attributes["name"]: each.attributes.get("value", "")
            for each in self.elements
            if each.form is element.form and each.tag == "input"
        }
        if "name" in element.attributes:
            fields[element.attributes["name"]] = element.attributes["value"]
        return element.form.attributes["action"], fields

// Keys for what the page's links and buttons do anyway, zoom, and the next bin's image loaded ahead.
"use strict";

const KEYS_OFF = "bincheck-keys-off";
const keys = document.getElementById("keys");
const keysButton = document.querySelector("[data-keys]");
const keysOn = document.getElementById("keys-on");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || keys?.open) return;
  // The checkbox of the keys has the focus for a moment after their dialog is closed: a key is no text there.
  const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
  // Enter in the note ends the note, so that an answer's key can follow.
  if (typing && (event.key === "Escape" || (event.key === "Enter" && event.target.name === "note"))) {
    event.target.blur();
    event.preventDefault();
  }
  if (typing || (event.key === "Enter" && event.target.closest("a, button"))) return;
  if (event.key !== "?" && localStorage.getItem(KEYS_OFF)) return;
  const field = document.querySelector(`[data-focus="${CSS.escape(event.key)}"]`);
  const control = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!field && !control) return;
  event.preventDefault();
  if (field) field.focus();
  else control.click();
});

if (keys) {
  keysButton.hidden = false;
  keysButton.addEventListener("click", () => keys.showModal());
  keysOn.checked = !localStorage.getItem(KEYS_OFF);
  keysOn.addEventListener("change", () => {
    if (keysOn.checked) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "yes");
  });
}

// One answer for a bin, however often a key is pressed; a page that the browser shows again may answer again.
document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

document.querySelector("[data-zoom]")?.addEventListener("click", (event) => {
  event.preventDefault();
  const link = event.currentTarget;
  const bounds = link.getBoundingClientRect();
  const [x, y] = [(event.clientX - bounds.left) / bounds.width, (event.clientY - bounds.top) / bounds.height];
  const figure = link.closest("figure");
  if (figure.classList.toggle("zoomed") && event.clientX) {
    // What was clicked comes to the middle.
    figure.scrollLeft = x * figure.scrollWidth - figure.clientWidth / 2;
    figure.scrollTop = y * figure.scrollHeight - figure.clientHeight / 2;
  }
});

for (const image of document.querySelectorAll("img.thumb")) {
  const gone = () => image.replaceWith(Object.assign(document.createElement("span"), { className: "small", textContent: "image gone" }));
  if (image.complete && image.currentSrc && !image.naturalWidth) gone();
  else image.addEventListener("error", gone);
}

// The browser keeps the image of the next bin.
const ahead = document.querySelector("[data-ahead]");
if (ahead) addEventListener("load", () => { new Image().src = ahead.dataset.ahead; });

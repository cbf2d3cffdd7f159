// Keys for what the page's links and buttons do anyway, zoom, and the next bin's image loaded ahead.
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing) return;
  const field = document.querySelector(`[data-focus="${CSS.escape(event.key)}"]`);
  const control = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (field) field.focus();
  else if (control) control.click();
  else return;
  event.preventDefault();
});

// One answer for a bin, however often a key is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});

document.querySelector("[data-zoom]")?.addEventListener("click", (event) => {
  event.preventDefault();
  event.currentTarget.querySelector("img").classList.toggle("zoomed");
});

for (const image of document.querySelectorAll("img.thumb"))
  image.addEventListener("error", () => image.replaceWith(Object.assign(document.createElement("span"), { className: "small", textContent: "image gone" })));

// The browser keeps the image of the next bin.
const ahead = document.querySelector("[data-ahead]");
if (ahead) addEventListener("load", () => { new Image().src = ahead.dataset.ahead; });

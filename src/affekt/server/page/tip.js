// What a token reads like, in numbers: shown when it is pointed at, focused or tapped.

import { signed } from "./colour.js";

const box = document.getElementById("tip");

function row(name, value, chosen) {
  const line = document.createElement("div");
  line.className = chosen ? "line chosen" : "line";
  const label = document.createElement("span");
  label.textContent = name;
  const bar = document.createElement("i");
  bar.style.width = `${Math.min(Math.abs(value) / 6, 1) * 4.5}rem`;
  bar.className = value > 0 ? "above" : "below";
  const number = document.createElement("b");
  number.textContent = signed(value);
  line.append(label, bar, number);
  return line;
}

export function show(span, title, rows) {
  box.replaceChildren();
  const head = document.createElement("div");
  head.className = "head";
  head.textContent = title;
  box.append(head, ...rows.map(([name, value, chosen]) => row(name, value, chosen)));
  box.hidden = false;
  const place = span.getBoundingClientRect(), size = box.getBoundingClientRect();
  const left = Math.max(8, Math.min(place.left, window.innerWidth - size.width - 8));
  const below = place.bottom + 6 + size.height < window.innerHeight;
  box.style.left = `${left}px`;
  box.style.top = `${below ? place.bottom + 6 : Math.max(8, place.top - size.height - 6)}px`;
}

export const hide = () => { box.hidden = true; };

document.addEventListener("scroll", hide, true);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

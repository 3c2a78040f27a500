// Tokens in a row, coloured, each with its numbers: of a reply as it is written, and of an event's heat map.

import { ribbon, signed } from "./colour.js";
import * as tip from "./tip.js";

export class Tokens {
  // `told` gives, for a token, [name, value, whether it is the chosen one] of what is shown in numbers.
  constructor(value, told) {
    this.value = value;
    this.told = told;
    this.all = [];
    this.element = document.createElement("div");
    this.element.className = "words";
    this.element.addEventListener("keydown", (event) => this.#walk(event));
  }

  add(token) {
    const span = document.createElement("span");
    span.className = token.text.includes("\n") ? "token breaks" : "token";
    span.textContent = token.text;
    // One stop for the Tab key; the arrows walk from token to token.
    span.tabIndex = this.all.length ? -1 : 0;
    const own = { ...token, span, place: this.all.length };
    const show = () => tip.show(span, `token ${own.place} “${own.text.trim() || own.text}”`, this.told(own));
    for (const sign of ["mouseenter", "focus", "click"]) span.addEventListener(sign, show);
    for (const sign of ["mouseleave", "blur"]) span.addEventListener(sign, tip.hide);
    this.all.push(own);
    this.element.append(span);
    this.#paint(own);
    return own;
  }

  repaint() {
    this.all.forEach((token) => this.#paint(token));
  }

  focus(place) {
    (this.all[place]?.span ?? this.all[0]?.span)?.focus();
  }

  #paint(token) {
    const before = this.all[token.place - 1];
    const z = this.value(token);
    token.span.style.background = ribbon(before && this.value(before), z);
    token.span.dataset.z = z === undefined || z === null ? "" : signed(z);
    const said = this.told(token).map(([name, value]) => `${name} ${signed(value)}`);
    token.span.setAttribute("aria-label", `${token.text}: ${said.join(", ")}`);
  }

  #walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = step > 0 ? event.target.nextElementSibling : event.target.previousElementSibling;
    if (next) next.focus();
    event.preventDefault();
  }
}

// One reply being written: its tokens, coloured by the chosen concept; numbers on hover and focus.

import { background, signed } from "./colour.js";

export class Column {
  constructor(title, chosen) {
    this.tokens = [];
    this.element = document.createElement("div");
    this.element.className = "column";
    const head = document.createElement("h3");
    head.textContent = title;
    this.words = document.createElement("div");
    this.words.className = "words";
    this.words.addEventListener("keydown", (event) => this.#walk(event));
    this.sum = document.createElement("p");
    this.sum.className = "sum";
    this.element.append(head, this.words, this.sum);
    this.chosen = chosen;
  }

  get text() {
    return this.said ?? this.tokens.map((token) => token.text).join("");
  }

  add(text, z) {
    const span = document.createElement("span");
    span.className = "token";
    span.textContent = text;
    // One stop for the Tab key; the arrows walk from token to token.
    span.tabIndex = this.tokens.length ? -1 : 0;
    const token = { text, z, span };
    this.tokens.push(token);
    this.words.append(span);
    this.#paint(token);
  }

  finish(reason, own) {
    this.own = own;
    if (own.replaced) {
      this.said = this.tokens.at(-1)?.text ?? "";
      this.words.textContent = this.said;
    }
    const parts = [`${this.tokens.length} tokens, ${reason}`];
    const figures = own.summary?.[this.chosen];
    if (figures) parts.push(`${this.chosen}: mean ${signed(figures.mean)}, highest ${signed(figures.max)}`);
    this.sum.textContent = parts.join(" · ");
    for (const event of own.events ?? []) {
      const line = document.createElement("p");
      line.className = "sum alarm";
      line.textContent = `${event.monitor}: z ${event.value?.toFixed(2)} → ${event.action} (${event.followed})`;
      this.element.append(line);
    }
  }

  fail(message) {
    this.sum.textContent = message;
    this.sum.classList.add("error");
  }

  recolour(chosen) {
    this.chosen = chosen;
    this.tokens.forEach((token) => this.#paint(token));
  }

  #paint({ span, z }) {
    const value = z?.[this.chosen];
    span.style.background = background(value);
    const strongest = Object.entries(z ?? {})
      .filter(([name]) => !["valence", "arousal", this.chosen].includes(name))
      .slice(0, 4)
      .map(([name, number]) => `${name} ${signed(number)}`);
    const own = value === undefined ? [] : [`${this.chosen} ${signed(value)}`];
    span.title = [...own, ...strongest].join("\n");
    span.setAttribute("aria-label", `${span.textContent}: ${span.title}`);
  }

  #walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = step > 0 ? event.target.nextElementSibling : event.target.previousElementSibling;
    if (next) next.focus();
    event.preventDefault();
  }
}

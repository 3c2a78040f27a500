// One reply being written.

import { signed } from "./colour.js";
import { Tokens } from "./tokens.js";

const AXES = ["valence", "arousal"];

export class Column {
  constructor(title, chosen) {
    this.title = title;
    this.chosen = chosen;
    this.written = new Tokens(({ z }) => z?.[this.chosen], (token) => this.#told(token));
    this.element = document.createElement("div");
    this.element.className = "column";
    const head = document.createElement("h3");
    head.textContent = title;
    this.sum = document.createElement("p");
    this.sum.className = "sum";
    this.element.append(head, this.written.element, this.sum);
    this.began = performance.now();
  }

  get tokens() {
    return this.written.all;
  }

  get text() {
    return this.said ?? this.tokens.map((token) => token.text).join("");
  }

  add(text, z) {
    this.written.add({ text, z });
  }

  finish(reason, own) {
    this.own = own;
    if (own.replaced) {
      // The guard's words stand for what came before.
      this.said = this.tokens.at(-1)?.text ?? "";
      this.written.element.textContent = this.said;
      this.element.classList.add("replaced");
    }
    this.seconds = (performance.now() - this.began) / 1000;
    this.reason = { length: "cut at the limit", stop: "ended by itself", content_filter: "ended by the guard" }[reason] ?? reason;
    this.#tell();
    for (const event of own.events ?? []) {
      const line = document.createElement("p");
      line.className = "sum alarm";
      const at = event.token === null ? "the prompt's end" : `token ${event.token}`;
      line.textContent = `▲ ${event.monitor}: z ${event.value?.toFixed(2)} at ${at} → ${event.action} (${event.followed})`;
      this.element.append(line);
    }
  }

  fail(message) {
    this.sum.textContent = message;
    this.sum.classList.add("error");
  }

  recolour(chosen) {
    this.chosen = chosen;
    this.written.repaint();
    if (this.reason) this.#tell();
  }

  #tell() {
    const parts = [];
    const figures = this.own.summary?.[this.chosen];
    if (figures) parts.push(`${this.chosen}: mean ${signed(figures.mean)}, highest ${signed(figures.max)}`);
    parts.push(`${this.tokens.length} tokens in ${this.seconds.toFixed(1)} s, ${this.reason}`);
    this.sum.textContent = parts.join(" · ");
  }

  #told({ z }) {
    const strongest = Object.entries(z ?? {})
      .filter(([name]) => ![...AXES, this.chosen].includes(name))
      .sort((a, b) => b[1] - a[1])
      .slice(0, 5)
      .map(([name, value]) => [name, value, false]);
    const own = z?.[this.chosen] === undefined ? [] : [[this.chosen, z[this.chosen], true]];
    return [...own, ...strongest];
  }
}

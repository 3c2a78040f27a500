// The plane of valence and arousal: every emotion a dot, and the replies moving over it.

import { style } from "./colour.js";
import { axis, layout, smooth, still } from "./trace.js";

const SIGNPOSTS = ["happy", "calm", "afraid", "sad", "angry", "excited", "bored", "proud", "lonely"];
const LAST = 8, STRONGEST = 12;

export class AffectMap {
  constructor(element, concepts) {
    this.element = element;
    const placed = concepts.filter(({ place, kind }) => place && kind === "emotion");
    this.places = new Map(placed.map(({ name, place }) => [name, place]));
    this.draw([]);
  }

  // The middle of a token's strongest emotions, each weighted by the square of its z.
  #centre(z) {
    const strong = Object.entries(z ?? {})
      .filter(([name, value]) => value > 0 && this.places.has(name))
      .sort((a, b) => b[1] - a[1])
      .slice(0, STRONGEST);
    let x = 0, y = 0, weights = 0;
    for (const [name, value] of strong) {
      const place = this.places.get(name);
      x += value ** 2 * place.valence;
      y += value ** 2 * place.arousal;
      weights += value ** 2;
    }
    return weights ? [x / weights, y / weights] : null;
  }

  // The places of a reply's tokens, means over the last ones since single tokens jump.
  path(tokens) {
    const places = tokens.map(({ z }) => this.#centre(z)).filter(Boolean);
    const [x, y] = [0, 1].map((at) => smooth(places.map((place) => place[at]), LAST));
    return { x, y };
  }

  // Columns: the replies that are drawn, the one that matters last.
  draw(columns) {
    const now = columns.at(-1)?.tokens.slice(-LAST).filter(({ z }) => z) ?? [];
    const weight = new Map([...this.places.keys()].map((name) => {
      return [name, now.length ? Math.max(0, now.reduce((sum, { z }) => sum + (z[name] ?? 0), 0) / now.length) : 0];
    }));
    const dots = [["vectors", "circle-open"], ["human", "circle"]].map(([from, symbol]) => this.#dots(from, symbol, weight));
    const trails = columns.flatMap((column, at) => this.#trail(column, at === columns.length - 1));
    const more = {
      annotations: this.#names(weight, now.length > 0), margin: { l: 34, r: 8, t: 8, b: 34 },
      xaxis: axis("unpleasant  ⟷  pleasant", { zerolinecolor: style("--soft"), showticklabels: false, range: [-0.85, 1] }),
      yaxis: axis("still  ⟷  stirred", { zerolinecolor: style("--soft"), showticklabels: false, range: [-0.8, 0.95] }),
    };
    window.Plotly.react(this.element, [...dots, ...trails], layout(more), still);
  }

  #dots(from, symbol, weight) {
    const own = [...this.places].filter(([, place]) => place.from === from);
    const hue = ([, { valence }]) => (valence < 0 ? style("--blue") : style("--red"));
    const strength = own.map(([name]) => Math.min(weight.get(name) / 3, 1));
    return {
      x: own.map(([, place]) => place.valence), y: own.map(([, place]) => place.arousal),
      text: own.map(([name]) => `${name}<br>z ${weight.get(name).toFixed(2)} or less over the last words`),
      mode: "markers", hovertemplate: "%{text}<extra></extra>",
      marker: {
        symbol, color: own.map(hue), line: { width: 1.2, color: own.map(hue) },
        size: strength.map((share) => 5 + 15 * share), opacity: strength.map((share) => 0.3 + 0.6 * share),
      },
    };
  }

  #trail(column, first) {
    const { x, y } = this.path(column.tokens), colour = style(first ? "--accent" : "--soft");
    if (!x.length) return [];
    const line = {
      x, y, mode: "lines", hoverinfo: "skip", opacity: first ? 0.75 : 0.55,
      line: { color: colour, width: first ? 2.2 : 1.6, shape: "spline", dash: first ? "solid" : "dot" },
    };
    const ring = {
      x: x.slice(-1), y: y.slice(-1), mode: "markers", hovertemplate: `${column.title}<extra></extra>`,
      marker: { symbol: "circle-open", size: first ? 20 : 14, color: colour, line: { width: first ? 3.5 : 2.5 } },
    };
    return [line, ring];
  }

  // Signposts, and in their stead the emotions that the last words read like most.
  #names(weight, live) {
    const top = [...weight].sort((a, b) => b[1] - a[1]).slice(0, live ? 5 : 0).map(([name]) => name);
    const placed = [];
    return [...top, ...SIGNPOSTS].filter((name, at, all) => this.places.has(name) && all.indexOf(name) === at)
      .filter((name) => {
        // No name over another: the strongest come first.
        const { valence: x, arousal: y } = this.places.get(name);
        const free = placed.every(([a, b]) => Math.abs(a - x) > 0.34 || Math.abs(b - y) > 0.085);
        if (free) placed.push([x, y]);
        return free;
      })
      .map((name) => ({
        x: this.places.get(name).valence, y: this.places.get(name).arousal, text: top.includes(name) ? `<b>${name}</b>` : name,
        showarrow: false, yshift: 11, font: { size: 11, color: style(top.includes(name) ? "--ink" : "--soft") },
      }));
  }
}

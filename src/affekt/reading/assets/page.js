"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MOST = 4;
  const DASHES = ["", "1 0", "5 3", "2 3"];
  const SVG = "http://www.w3.org/2000/svg";
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // An element with attributes and children; texts become text nodes, so nothing is ever parsed as HTML.
  function make(name, attributes = {}, ...children) {
    const element = name.includes(":")
      ? document.createElementNS(SVG, name.slice(4))
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return (i) => view.getInt16(2 * i, true) / 100;
  }

  const views = data.readings.map((reading, index) => {
    const root = find(`[data-reading="${index}"]`);
    const value = unpack(reading.z);
    const columns = new Map(reading.concepts.map((name, column) => [name, column]));
    const axes = new Map(Object.entries(reading.axes).map(([name, axis]) => [
      name, { n: axis.n, low: unpack(axis.low), high: unpack(axis.high) },
    ]));
    return {
      ...reading, root, columns, axes, spans: all(".t", root),
      z: (token, name) => value(token * reading.concepts.length + columns.get(name)),
    };
  });
  const known = [...new Set(views.flatMap((view) => view.concepts))];
  const state = { chosen: data.chosen.slice(0, MOST), active: data.chosen[0], scale: data.scale, view: null, token: 0 };

  const signed = (z) => (z < 0 ? "−" : "+") + Math.abs(z).toFixed(2);
  const mark = (z) => (z === 0 ? "0" : (z < 0 ? "−" : "+") + +Math.abs(z).toPrecision(2));
  const share = (z) => Math.max(-1, Math.min(1, z / state.scale));
  const colour = (z) => `var(--r${Math.floor(share(z) * data.steps + 0.5) + data.steps})`;
  const line = (name) => (name === state.active ? "var(--ink)" : `var(--l${slots.get(name) || 1})`);

  // Each chosen concept keeps its line's colour and dashes while it is shown.
  const slots = new Map();
  function place() {
    for (const name of slots.keys()) if (!state.chosen.includes(name) || name === state.active) slots.delete(name);
    for (const name of state.chosen) {
      if (name === state.active || slots.has(name)) continue;
      slots.set(name, [1, 2, 3].find((slot) => ![...slots.values()].includes(slot)));
    }
  }

  function choose(name) {
    if (!state.chosen.includes(name)) {
      if (state.chosen.length === MOST) state.chosen.splice(state.chosen.findIndex((other) => other !== state.active), 1);
      state.chosen.push(name);
    }
    state.active = name;
    draw();
  }

  function drop(name) {
    state.chosen = state.chosen.filter((other) => other !== name);
    if (state.active === name) state.active = state.chosen[0];
    draw();
  }

  function draw() {
    place();
    chips();
    for (const view of views) {
      paint(view);
      trace(view);
    }
    for (const button of all("[data-concept]")) {
      button.setAttribute("aria-pressed", button.dataset.concept === state.active);
    }
    const [low, high] = all("#legend .end");
    low.textContent = mark(-state.scale);
    high.textContent = mark(state.scale);
    inspect(state.view, state.token);
  }

  function chips() {
    find("#chosen").replaceChildren(...state.chosen.map((name) => {
      const on = name === state.active;
      const swatch = on
        ? [make("svg:rect", { y: 1, width: 16, height: 4, fill: "var(--r38)" }), make("svg:rect", { y: 5, width: 16, height: 4, fill: "var(--r2)" })]
        : [make("svg:path", { d: "M0 5H16", stroke: line(name), "stroke-width": 2, "stroke-dasharray": DASHES[slots.get(name)] })];
      return make("span", { class: on ? "chip on" : "chip" },
        make("button", { class: "name", type: "button", "aria-pressed": on, onclick: () => choose(name) },
          make("svg:svg", { width: 16, height: 10, "aria-hidden": true }, ...swatch), name),
        make("button", { class: "drop", type: "button", "aria-label": `Remove ${name}`, onclick: () => drop(name) }, "×"));
    }));
    find("#pick").scrollLeft = (find(".chip.on")?.offsetLeft ?? 0) - 180; // on a phone the row scrolls
  }

  function paint(view) {
    const known = view.columns.has(state.active);
    for (const span of view.spans) {
      if (known) span.style.setProperty("--h", colour(view.z(+span.dataset.i, state.active)));
      else span.style.removeProperty("--h");
    }
  }

  function trace(view) {
    const box = find(".trace", view.root);
    const count = view.tokens.length;
    const shown = state.chosen.filter((name) => view.columns.has(name));
    if (!count || !shown.length) return box.replaceChildren();
    const width = Math.max(box.clientWidth, 120), height = 136, left = 26, top = 16, bottom = 128;
    const x = (token) => left + ((width - left) * token) / count;
    const y = (z) => (top + bottom) / 2 - (share(z) * (bottom - top)) / 2;
    const parts = [];
    for (const z of [state.scale, 0, -state.scale]) {
      parts.push(make("svg:line", { class: z ? "rule" : "zero", x1: left, x2: width, y1: y(z), y2: y(z) }));
      parts.push(make("svg:text", { x: left - 6, y: y(z) + 4, "text-anchor": "end" }, mark(z)));
    }
    parts.push(...turns(view, x, top, bottom, width));
    for (const name of shown) {
      const heights = view.tokens.map((_, token) => y(view.z(token, name)));
      if (name === state.active) {
        for (const [kind, keep] of [["up", Math.min], ["down", Math.max]]) {
          const steps = heights.map((h, token) => `V${keep(h, y(0)).toFixed(1)}H${x(token + 1).toFixed(1)}`);
          parts.push(make("svg:path", { class: kind, d: `M${left} ${y(0)}${steps.join("")}V${y(0)}Z` }));
        }
      } else {
        const points = heights.map((h, token) => `${x(token + 0.5).toFixed(1)} ${h.toFixed(1)}`);
        parts.push(make("svg:path", { d: `M${points.join("L")}`, fill: "none", stroke: line(name), "stroke-width": 1.5, "stroke-linejoin": "round", "stroke-dasharray": DASHES[slots.get(name)] }));
      }
    }
    parts.push(make("svg:line", { class: "cursor", x1: -9, x2: -9, y1: top, y2: bottom, visibility: "hidden" }));
    const svg = make("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": described(view, shown) }, ...parts);
    svg.addEventListener("pointermove", (event) => {
      const at = ((event.clientX - svg.getBoundingClientRect().left - left) / (width - left)) * count;
      if (at >= 0 && at < count) inspect(view, Math.floor(at));
    });
    view.cursor = (token) => {
      const cursor = find(".cursor", svg);
      cursor.setAttribute("visibility", token === null ? "hidden" : "visible");
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, token === null ? -9 : x(token + 0.5));
    };
    box.replaceChildren(svg);
  }

  // A fine line and a name where another speaker begins.
  function turns(view, x, top, bottom, width) {
    const marks = [];
    let before = "", free = 0;
    view.roles.forEach((role, token) => {
      if (["special", "template"].includes(role) || role === before) return;
      before = role;
      if (role === "text") return;
      const at = x(token), name = role === "generation" ? "prompt end" : role;
      marks.push(make("svg:line", { class: "rule", x1: at, x2: at, y1: top - 4, y2: bottom }));
      if (at < free || at + name.length * 6 > width) return;
      marks.push(make("svg:text", { x: at + 4, y: top - 5 }, name));
      free = at + name.length * 7 + 10;
    });
    return marks;
  }

  function described(view, shown) {
    const said = shown.map((name) => {
      let best = 0;
      view.tokens.forEach((_, token) => { if (view.z(token, name) > view.z(best, name)) best = token; });
      return `${name}: highest ${signed(view.z(best, name))} at token ${best + 1}, ${view.tokens[best]}`;
    });
    return `z over ${view.tokens.length} tokens. ${said.join("; ")}`;
  }

  function row(view, token, name) {
    const z = view.z(token, name), size = Math.abs(share(z)) * 50;
    const fill = make("span", { class: "fill" });
    Object.assign(fill.style, { left: `${z < 0 ? 50 - size : 50}%`, width: `${size}%`, background: z < 0 ? "var(--r2)" : "var(--r38)" });
    const axis = view.axes.get(name);
    const note = axis ? [make("small", {}, `95 %: ${signed(axis.low(token))} to ${signed(axis.high(token))}, n = ${axis.n} words`)] : [];
    return make("div", { class: "row" }, make("span", { title: name }, name), make("span", { class: "track", "aria-hidden": true }, fill), make("b", {}, signed(z)), ...note);
  }

  function inspect(view, token) {
    const panel = find("#inspector");
    for (const other of views) other.cursor?.(other === view ? token : null);
    state.view?.spans[state.token].classList.remove("at");
    Object.assign(state, { view, token });
    if (!view) {
      panel.replaceChildren(make("p", { class: "hint" }, "Point at a token, or reach one with Tab and go on with the arrow keys, to see its numbers."));
      return;
    }
    view.spans[token].classList.add("at");
    const order = view.concepts.filter((name) => !view.axes.has(name)).sort((a, b) => view.z(token, b) - view.z(token, a));
    const own = state.chosen.filter((name) => view.columns.has(name));
    const rows = (names) => names.map((name) => row(view, token, name));
    const block = (title, names) => (names.length ? [make("h3", {}, title), ...rows(names)] : []);
    panel.replaceChildren(
      make("button", { class: "close", type: "button", "aria-label": "Close", onclick: close }, "×"),
      make("div", { class: "token" }, view.tokens[token].replace(/^ /, "␣")),
      make("div", { class: "where" }, `${view.roles[token]} · token ${token + 1} of ${view.tokens.length}`),
      ...block("Shown", own), ...block("Highest z", order.slice(0, 5)),
      ...block("Lowest z", order.slice(5).slice(-3)), ...block("Derived", [...view.axes.keys()]));
    panel.classList.add("open");
  }

  function close() {
    find("#inspector").classList.remove("open");
    inspect(null, 0);
  }

  function focus(view, token) {
    const span = view.spans[Math.max(0, Math.min(view.spans.length - 1, token))];
    for (const other of view.spans) other.tabIndex = other === span ? 0 : -1;
    span.focus();
  }

  for (const view of views) {
    const heat = find(".heat", view.root);
    const token = (event) => event.target.closest(".t")?.dataset.i;
    if (view.spans.length) view.spans[0].tabIndex = 0;
    for (const kind of ["pointerover", "focusin", "click"]) {
      heat.addEventListener(kind, (event) => {
        const at = event.pointerType === "touch" && kind === "pointerover" ? undefined : token(event);
        if (at === undefined) return;
        inspect(view, +at);
        if (kind === "click") event.target.scrollIntoView({ block: "nearest" }); // out from under a phone's sheet
      });
    }
    heat.addEventListener("keydown", (event) => {
      const at = +token(event), last = view.spans.length - 1;
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      focus(view, to);
    });
    new ResizeObserver(() => trace(view)).observe(find(".trace", view.root));
  }
  for (const button of all("[data-concept]")) button.addEventListener("click", () => choose(button.dataset.concept));
  const input = find("#concept");
  input.addEventListener("input", () => {
    const name = input.value.trim().toLowerCase();
    const exact = known.find((other) => other.toLowerCase() === name);
    const longer = known.some((other) => other.toLowerCase() !== name && other.toLowerCase().startsWith(name));
    if (exact && !longer) pick(exact);
  });
  input.addEventListener("change", () => {
    const name = input.value.trim().toLowerCase();
    const match = known.find((other) => other.toLowerCase() === name) ?? known.find((other) => name && other.toLowerCase().startsWith(name));
    if (match) pick(match);
  });
  function pick(name) {
    input.value = "";
    choose(name);
  }
  const axes = new Set(views.flatMap((view) => [...view.axes.keys()]));
  find("#concepts").append(...[...axes].map((name) => make("option", { value: name })));
  find("#scale").addEventListener("change", (event) => {
    state.scale = +event.target.value;
    draw();
  });
  find("#beside")?.addEventListener("click", (event) => {
    const on = find("#readings").classList.toggle("beside");
    event.target.setAttribute("aria-pressed", on);
  });
  if (find("#beside")) find("#readings").classList.add("beside");
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  draw();
})();

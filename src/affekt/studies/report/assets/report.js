// Figures are as wide as the window; on paper they must be as wide as the sheet.
(() => {
  const figures = () => document.querySelectorAll(".js-plotly-plot");
  addEventListener("beforeprint", () => figures().forEach((one) => Plotly.relayout(one, { width: 840 })));
  addEventListener("afterprint", () =>
    figures().forEach((one) => Plotly.relayout(one, { width: null, autosize: true })),
  );
  // A finger that moves over a figure moves the page; a tap still shows what is under it.
  if (matchMedia("(hover: none)").matches)
    addEventListener("load", () => figures().forEach((one) => Plotly.relayout(one, { dragmode: false })));
})();

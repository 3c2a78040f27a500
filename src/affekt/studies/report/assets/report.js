// Figures are as wide as the window; on paper they must be as wide as the sheet.
(() => {
  const figures = () => document.querySelectorAll(".js-plotly-plot");
  addEventListener("beforeprint", () => figures().forEach((one) => Plotly.relayout(one, { width: 640 })));
  addEventListener("afterprint", () =>
    figures().forEach((one) => Plotly.relayout(one, { width: null, autosize: true })),
  );
})();

for (const spec of document.querySelectorAll('script[data-chart]')) {
  vegaEmbed('#' + spec.dataset.chart, JSON.parse(spec.textContent), {
    renderer: 'svg',
    actions: false,
  }).catch((error) => console.error(spec.dataset.chart, error));
}

/*
 * Sets the theme before anything is drawn, so that nothing flashes. A classic script: modules run too late for that.
 *
 * In:  what was chosen here before. Out: `data-theme` on the root, where light or dark was chosen; else the system counts.
 */
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem('portolan-theme');
  } catch {
    // Storage may be forbidden: then the system's theme counts.
  }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();

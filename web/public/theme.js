// Sets the theme before the first paint, so that no frame shows the wrong one.
// Not inline, because the content security policy allows no inline script.
(() => {
  let choice = 'system';
  try {
    choice = localStorage.getItem('carafe.theme') ?? 'system';
  } catch {
    // Storage can be forbidden; the system's theme is right then.
  }
  const dark =
    choice === 'dark' ||
    (choice !== 'light' && window.matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();

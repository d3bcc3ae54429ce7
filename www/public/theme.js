// The chosen theme before the first paint: a module would come after it. Storage may be refused; then the system decides.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  document.documentElement.removeAttribute("data-theme");
}

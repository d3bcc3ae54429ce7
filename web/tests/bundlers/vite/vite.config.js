// The two lines of web/README.md.
export default {
  optimizeDeps: { exclude: ["@conclave/web"] },
  worker: { format: "es" },
};

import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "/",
  build: {
    target: "es2020",
    assetsInlineLimit: 0, // nothing inside the markup: the content policy refuses it
    modulePreload: false,
    sourcemap: false,
    reportCompressedSize: false,
  },
  test: { css: true },
  server: { port: 5173, proxy: { "/api": "http://127.0.0.1:3000" } },
});

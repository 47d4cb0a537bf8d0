import { defineConfig } from "vite";

// Plain files for /assets; no inline script or style, so that the server's Content-Security-Policy can stay at 'self'.
export default defineConfig({
    esbuild: { jsx: "automatic", jsxImportSource: "preact" },
    build: { outDir: "dist", assetsDir: "assets", modulePreload: { polyfill: false }, assetsInlineLimit: 0, sourcemap: false },
    server: { proxy: Object.fromEntries(["/api", "/dicom-web", "/fhir"].map((path) => [path, "http://127.0.0.1:8080"])) },
});

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/e2e/**/*.e2e.ts'],
    environment: 'node',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One browser at a time: the tests measure how soon things show.
    fileParallelism: false,
    // The server to test instead of the mock; in the tests BASE_URL is vite's own base path.
    env: { SERVER_URL: process.env.BASE_URL ?? '' },
  },
});

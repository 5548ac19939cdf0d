// The smallest server on Node's own HTTP module. Usage: node hello.js PORT
const http = require("node:http");

http
  .createServer((request, response) => response.end("hello\n"))
  .listen(Number(process.argv[2]), "127.0.0.1");

// The contract of README.md on Node's own HTTP server. Usage: node server.js PORT
const http = require("node:http");

const server = http.createServer((request, response) => {
  const found = request.url.startsWith("/items/");
  request.resume();
  request.on("end", () => {
    response.statusCode = !found ? 404 : request.method === "POST" ? 201 : 200;
    response.setHeader("content-type", "text/plain");
    response.end(`${request.url}\n`);
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");

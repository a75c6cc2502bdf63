// A client or a server of the MLLP rows, by the packages of this folder; see ../mllp_child.py.
//   node mllp.mjs client NAME MESSAGE-FILE PORT
//   node mllp.mjs server NAME
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { performance } from "node:perf_hooks";

const [role, name, place, port] = process.argv.slice(2);
// The packages lie where `make peers` put them, not beside this file.
const require = createRequire(path.join(process.env.PFI_PEERS, "package.json"));
const host = "127.0.0.1";

const clients = {
  "node-hl7-client": async (text) => {
    const { Client, Message } = require("node-hl7-client");
    const waiting = [];
    const connection = new Client({ host, version: "2.6" }).createConnection(
      { port: Number(port) },
      async (answer) => waiting.shift()(answer.getMessage().toString()),
    );
    const message = new Message({ text });
    return () =>
      new Promise((resolve, reject) => {
        waiting.push(resolve);
        connection.sendMessage(message).catch(reject);
      });
  },
  "@medplum/hl7": async (text) => {
    const { Hl7Client } = require("@medplum/hl7");
    const { Hl7Message } = require("@medplum/core");
    const client = new Hl7Client({ host, port: Number(port), keepAlive: true });
    const message = Hl7Message.parse(text);
    return async () => (await client.sendAndWait(message)).toString();
  },
};

const servers = {
  "@medplum/hl7": async (free) => {
    const { Hl7Server } = require("@medplum/hl7");
    const server = new Hl7Server((connection) =>
      connection.addEventListener("message", (event) =>
        connection.send(event.message.buildAck()),
      ),
    );
    await server.start(free);
  },
  "node-hl7-server": async (free) => {
    const { Server } = require("node-hl7-server");
    new Server({ bindAddress: host }).createInbound({ port: free }, async (_, response) =>
      response.sendResponse("AA"),
    );
  },
  "simple-hl7": async (free) => {
    const hl7 = require("simple-hl7");
    const app = hl7.tcp();
    app.use((_request, _response, next) => next());
    app.use((_request, response) => response.end());
    app.start(free);
  },
};

function say(pair) {
  process.stdout.write(JSON.stringify(pair) + "\n");
}

function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function freePort() {
  const listener = net.createServer();
  await new Promise((resolve) => listener.listen(0, host, resolve));
  const found = listener.address().port;
  await new Promise((resolve) => listener.close(resolve));
  return found;
}

async function client(exchange, count) {
  const [began, before] = [performance.now(), cpu()];
  let answer = "";
  for (let number = 0; number < count; number += 1) answer = await exchange();
  say([(performance.now() - began) / 1e3, cpu() - before]);
  if (!answer.includes("MSA|AA")) throw new Error("no AA");
}

const lines = createInterface({ input: process.stdin });
if (role === "client") {
  const exchange = await clients[name](readFileSync(place, "utf8"));
  for await (const line of lines) await client(exchange, Number(line));
} else {
  const free = await freePort();
  await servers[name](free);
  await new Promise((resolve) => setTimeout(resolve, 200));
  say([free, 0]);
  for await (const _ of lines) say([performance.now() / 1e3, cpu()]);
}
process.exit(0);

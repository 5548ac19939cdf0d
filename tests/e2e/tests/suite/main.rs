//! The product from outside: real servers and clients under `carafe run`.

mod backend;
mod capture;
mod clients;
mod conventions;
mod crash;
mod demo;
mod exchanges;
mod export;
mod launcher;
mod nginx;
mod programs;
mod python;
mod python_app;
mod python_servers;
mod servers;
mod talk;
mod terminal;
mod todo;
mod ui;

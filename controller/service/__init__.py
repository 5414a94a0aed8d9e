"""The service department: engineers watch and command the C-arm over MQTT.

Lives here: the process `service`: broker link, signatures, audit, downloads, and the pure rules in
`core`.  May not live here: anything that could bring the machine nearer to X-rays; every change is
asked of the supervisor over `service.sock`, which decides by itself (`controller.core.service`).
"""

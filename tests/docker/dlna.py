#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A television: dlna.py search ADDRESS TTL [ST] | search6 INTERFACE GROUP | listen ADDRESS SECONDS | play LOCATION FILE
| device6 INTERFACE ADDRESS

search prints the LOCATION of each answer within three seconds (5 tries), and ends with 1 when there was none; search6 does
the same over IPv6. listen prints NTS, LOCATION, sender and time of each NOTIFY. device6 is an IPv6 device that answers, until it is killed. play fetches the description, browses all music, downloads the first title to FILE.
"""
import re
import select
import socket
import struct
import sys
import time
import urllib.request
import xml.etree.ElementTree as xml

GROUP = ("239.255.255.250", 1900)
UPNP = "{urn:schemas-upnp-org:device-1-0}"


def field(message, name):
    found = re.search(rb"(?mi)^" + name.encode() + rb":[ \t]*(.*?)\r?$", message)
    return found.group(1).decode() if found else ""


def search(address, ttl, st="upnp:rootdevice"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 0))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, int(ttl))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    return search_by(s, GROUP, GROUP[0], st)


def search6(interface, group, st="upnp:rootdevice"):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    index = socket.if_nametoindex(interface)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
    return search_by(s, (group, 1900, 0, index), f"[{group}]", st)


def search_by(s, group, host, st):
    found = set()
    for _ in range(5):
        begin = time.monotonic()
        text = f'M-SEARCH * HTTP/1.1\r\nHOST: {host}:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: {st}\r\n\r\n'
        s.sendto(text.encode(), group)
        while (left := begin + 3 - time.monotonic()) > 0 and not found:
            if select.select([s], [], [], left)[0]:
                message, peer = s.recvfrom(9000)
                if message.startswith(b"HTTP/1.1 200"):
                    found.add((field(message, "LOCATION"), peer[0]))
        if found:
            break
    for location, peer in sorted(found):
        print(location, peer)
    return 0 if found else 1


def listen(address, seconds):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", 1900))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP[0]) + socket.inet_aton(address))
    print("listening", flush=True)
    end = time.monotonic() + float(seconds)
    while (left := end - time.monotonic()) > 0:
        if select.select([s], [], [], left)[0]:
            message, peer = s.recvfrom(9000)
            if message.startswith(b"NOTIFY"):
                print(field(message, "NTS"), field(message, "LOCATION"), peer[0], time.time(), flush=True)
    return 0


def device6(interface, address):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("", 1900))
    index = socket.if_nametoindex(interface)
    for group in ("ff02::c", "ff05::c"):
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + struct.pack("i", index))
    print("ready", flush=True)
    while True:
        message, peer = s.recvfrom(9000)
        if message.startswith(b"M-SEARCH"):
            s.sendto(
                b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=60\r\nEXT:\r\nST: upnp:rootdevice\r\n"
                b"USN: uuid:six::upnp:rootdevice\r\nLOCATION: http://[" + address.encode() + b"]:8200/six.xml\r\n\r\n",
                peer,
            )


def get(url, data=None, headers=None):
    return urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=10).read()


def play(location, path):
    base = re.match(r"http://[^/]+", location).group(0)
    root = xml.fromstring(get(location))
    for service in root.iter(UPNP + "service"):
        if "ContentDirectory" in service.findtext(UPNP + "serviceType"):
            control = base + service.findtext(UPNP + "controlURL")
    body = (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        '<u:Browse xmlns:u="urn:schemas-upnp-org:service:ContentDirectory:1"><ObjectID>1$4</ObjectID>'
        "<BrowseFlag>BrowseDirectChildren</BrowseFlag><Filter>*</Filter><StartingIndex>0</StartingIndex>"
        "<RequestedCount>10</RequestedCount><SortCriteria></SortCriteria></u:Browse></s:Body></s:Envelope>"
    )
    answer = get(
        control,
        body.encode(),
        {
            "SOAPACTION": '"urn:schemas-upnp-org:service:ContentDirectory:1#Browse"',
            "Content-Type": 'text/xml; charset="utf-8"',
        },
    ).decode()
    media = re.search(r"http://[^&<]*/MediaItems/[^&<]*", answer)
    if not media:
        print("no title in", answer, file=sys.stderr)
        return 1
    print(media.group(0))
    with open(path, "wb") as f:
        f.write(get(media.group(0)))
    return 0


sys.exit({"search": search, "search6": search6, "listen": listen, "device6": device6, "play": play}[sys.argv[1]](*sys.argv[2:]))
